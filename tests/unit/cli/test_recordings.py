import os
from pathlib import Path
from threading import Thread

import pytest

from cli.recordings import Recording, find_recordings


def test_a_folder_stands_for_the_audio_files_below_it_in_order(tmp_path: Path) -> None:
    for name in ("b.MP3", "a.flac", "notes.txt", ".hidden.wav", "live/c.ogg", ".git/d.wav"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.touch()
    names = [os.path.relpath(found.path, tmp_path) for found in find_recordings([str(tmp_path)])]
    assert names == ["a.flac", "b.MP3", "live/c.ogg"]


def test_a_named_file_needs_no_audio_suffix_and_may_be_missing(tmp_path: Path) -> None:
    missing = str(tmp_path / "song")
    assert find_recordings(["-", missing]) == [Recording("-"), Recording(missing)]


def test_a_folder_that_links_to_itself_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "song.wav").touch()
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert len(find_recordings([str(tmp_path)])) == 1


def test_a_pipe_is_copied_to_a_seekable_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = Thread(target=pipe.write_bytes, args=[b"RIFF1234"])
    writer.start()
    with Recording(str(pipe)).open() as copy:
        writer.join()
        copy.seek(4)
        assert copy.read() == b"1234"


@pytest.mark.parametrize("name", ["a\x1b[2Jb.mp3", "a\nb.mp3", os.fsdecode(b"a\xffb.mp3")])
def test_a_name_is_shown_without_escapes_and_invalid_bytes(name: str) -> None:
    shown = Recording(name).name
    assert shown.isprintable()
    assert shown.encode().startswith(b"a")

import pytest

from shared.errors import AudioMissing, Conflict
from shared.ports.audio import AudioStore, PartStore

PART = bytes(5 * 1024 * 1024)


def test_parts_are_counted_up_to_the_first_missing_one(audio: AudioStore, parts: PartStore) -> None:
    multipart = parts.start("a", media_type="audio/wav")
    assert parts.part_sizes("a", multipart=multipart) == ()
    parts.write("a", PART, multipart=multipart, number=1)
    parts.write("a", PART, multipart=multipart, number=3)
    assert parts.part_sizes("a", multipart=multipart) == (len(PART),)
    parts.write("a", PART, multipart=multipart, number=3)
    parts.write("a", PART, multipart=multipart, number=2)
    assert parts.part_sizes("a", multipart=multipart) == (len(PART), len(PART), len(PART))
    parts.complete("a", multipart=multipart, size_bytes=3 * len(PART))
    with audio.open("a") as file:
        assert file.seek(0, 2) == 3 * len(PART)


def test_an_upload_is_completed_when_all_parts_are_stored(audio: AudioStore, parts: PartStore) -> None:
    multipart = parts.start("a", media_type="audio/wav")
    parts.write("a", b"tail", multipart=multipart, number=2)
    size = len(PART) + 4
    with pytest.raises(Conflict, match=f"{size:,}"):
        parts.complete("a", multipart=multipart, size_bytes=size)
    parts.write("a", PART, multipart=multipart, number=1)
    parts.complete("a", multipart=multipart, size_bytes=size)
    parts.complete("a", multipart=multipart, size_bytes=size)
    with audio.open("a") as file:
        file.seek(len(PART))
        assert file.read(10) == b"tail"
    with pytest.raises(AudioMissing):
        parts.part_sizes("a", multipart=multipart)


def test_aborted_parts_are_gone(audio: AudioStore, parts: PartStore) -> None:
    multipart = parts.start("a", media_type="audio/wav")
    parts.write("a", PART, multipart=multipart, number=1)
    parts.abort("a", multipart=multipart)
    parts.abort("a", multipart=multipart)
    with pytest.raises(AudioMissing):
        parts.part_sizes("a", multipart=multipart)
    assert list(audio.list_older_than(before=2e9)) == []
    with pytest.raises(AudioMissing):
        audio.open("a").read()

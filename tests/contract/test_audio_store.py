import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.errors import AudioMissing
from shared.ports.audio import AudioStore


def put(audio: AudioStore, key: str, *parts: bytes) -> None:
    upload = audio.start_upload(key, media_type="audio/wav")
    for number, part in enumerate(parts, 1):
        upload.write(part, number=number)
    upload.finish()


def everything(audio: AudioStore) -> list[tuple[str, bool]]:
    return sorted(
        (found.key, found.multipart is not None) for found in audio.list_older_than(before=time.time() + 100)
    )


def test_small_audio_is_read_as_it_was_written(audio: AudioStore) -> None:
    put(audio, "a", b"hello")
    with audio.open("a") as file:
        assert file.read() == b"hello"


def test_audio_written_at_once_is_read_as_it_was_written(audio: AudioStore) -> None:
    audio.put("a", bytearray(b"hello"), media_type="audio/wav")
    with audio.open("a") as file:
        assert file.read() == b"hello"
    assert everything(audio) == [("a", False)]


def test_parts_can_arrive_in_any_order_and_in_parallel(audio: AudioStore) -> None:
    parts = [bytes([number]) * audio.part_bytes for number in range(4)] + [b"tail"]
    upload = audio.start_upload("a", media_type="audio/wav")
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda n: upload.write(parts[n - 1], number=n), (3, 5, 1, 4, 2)))
    upload.finish()
    with audio.open("a") as file:
        assert file.read(audio.part_bytes) == parts[0]
        file.seek(3 * audio.part_bytes)
        assert file.read(1) == b"\x03"
        assert file.seek(0, 2) == sum(map(len, parts))
    assert everything(audio) == [("a", False)]


def test_audio_of_several_parts_is_read_as_it_was_written(audio: AudioStore) -> None:
    parts = [os.urandom(audio.part_bytes), os.urandom(audio.part_bytes + 7), b"tail"]
    put(audio, "a", *parts)
    with audio.open("a") as file:
        assert file.seek(0, 2) == sum(map(len, parts))
        file.seek(audio.part_bytes - 2)
        assert file.read(4) == parts[0][-2:] + parts[1][:2]
        file.seek(-2, 2)
        assert file.read(10) == b"il"
        assert file.read(10) == b""


def test_an_object_is_not_visible_before_it_is_complete(audio: AudioStore) -> None:
    upload = audio.start_upload("a", media_type="audio/wav")
    upload.write(b"x" * audio.part_bytes, number=1)
    upload.write(b"y", number=2)
    with pytest.raises(AudioMissing):
        audio.open("a").read()
    assert everything(audio) == [("a", True)]
    upload.abort()
    assert everything(audio) == []


def test_an_aborted_upload_leaves_nothing_and_can_be_aborted_again(audio: AudioStore) -> None:
    upload = audio.start_upload("a", media_type="audio/wav")
    upload.abort()
    upload = audio.start_upload("b", media_type="audio/wav")
    upload.write(b"small", number=1)
    upload.finish()
    upload.abort()
    upload.abort()
    assert everything(audio) == []


def test_unknown_audio_is_missing_and_deleting_it_is_not_an_error(audio: AudioStore) -> None:
    with pytest.raises(AudioMissing):
        audio.open("nobody").read()
    audio.delete("nobody")


def test_old_objects_and_uploads_are_listed_and_discarded(audio: AudioStore) -> None:
    put(audio, "whole", b"x")
    upload = audio.start_upload("part", media_type="audio/wav")
    upload.write(b"x" * audio.part_bytes, number=1)
    upload.write(b"y", number=2)
    assert list(audio.list_older_than(before=time.time() - 60)) == []
    assert everything(audio) == [("part", True), ("whole", False)]
    for found in list(audio.list_older_than(before=time.time() + 100)):
        audio.discard(found)
    assert everything(audio) == []


def test_the_check_of_an_available_store_passes(audio: AudioStore) -> None:
    audio.check()

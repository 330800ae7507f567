from collections.abc import Callable

import pytest

from shared.errors import AudioMissing, Conflict
from shared.ports.audio import AudioStore, PartStore, PresignedRequest, PresignedUploadStore

SONG = b"fLaC" + bytes(1000)
LONG = b"fLaC" + bytes(12 * 1024 * 1024)

Put = Callable[[PresignedRequest, bytes], int]


def offered(direct: PresignedUploadStore, song: bytes, key: str = "a") -> tuple[PresignedRequest, ...]:
    return direct.presign(key, size_bytes=len(song), media_type="audio/flac", expires_seconds=60).requests


def pieces(requests: tuple[PresignedRequest, ...], song: bytes) -> list[tuple[PresignedRequest, bytes]]:
    found, at = [], 0
    for request in requests:
        found.append((request, song[at : at + request.size_bytes]))
        at += request.size_bytes
    return found


def test_a_small_file_is_sent_in_one_request(
    audio: AudioStore, direct: PresignedUploadStore, put: Put
) -> None:
    (request,) = offered(direct, SONG)
    assert put(request, SONG) == 200
    assert audio.open("a").read() == SONG


def test_a_large_file_is_sent_in_parts_and_completed_once(
    audio: AudioStore, direct: PresignedUploadStore, parts: PartStore, put: Put
) -> None:
    offer = direct.presign("a", size_bytes=len(LONG), media_type="audio/flac", expires_seconds=60)
    assert len(offer.requests) > 1
    assert offer.multipart is not None
    first, *others = pieces(offer.requests, LONG)
    for request, data in reversed(others):
        assert put(request, data) == 200
    with pytest.raises(Conflict, match=f"{len(LONG):,}"):
        parts.complete("a", multipart=offer.multipart, size_bytes=len(LONG))
    assert put(*first) == 200
    parts.complete("a", multipart=offer.multipart, size_bytes=len(LONG))
    parts.complete("a", multipart=offer.multipart, size_bytes=len(LONG))
    with audio.open("a") as file:
        assert file.seek(0, 2) == len(LONG)


def test_an_object_is_missing_before_it_is_sent(audio: AudioStore, direct: PresignedUploadStore) -> None:
    offered(direct, SONG)
    offered(direct, LONG, "b")
    for key in ("a", "b"):
        with pytest.raises(AudioMissing):
            audio.open(key).read()

from collections.abc import Callable

import pytest

from shared.errors import AudioMissing, Conflict
from shared.ports.audio import AudioStore, DirectStore, PartStore, SignedRequest

SONG = b"fLaC" + bytes(1000)
LONG = b"fLaC" + bytes(12 * 1024 * 1024)

Put = Callable[[SignedRequest, bytes], int]


def offered(direct: DirectStore, song: bytes, key: str = "a") -> tuple[SignedRequest, ...]:
    return direct.offer(key, size_bytes=len(song), media_type="audio/flac", seconds=60).requests


def pieces(requests: tuple[SignedRequest, ...], song: bytes) -> list[tuple[SignedRequest, bytes]]:
    found, at = [], 0
    for request in requests:
        found.append((request, song[at : at + request.size_bytes]))
        at += request.size_bytes
    return found


def test_a_small_file_goes_in_one_request(audio: AudioStore, direct: DirectStore, put: Put) -> None:
    (request,) = offered(direct, SONG)
    assert put(request, SONG) == 200
    assert audio.open("a").read() == SONG


def test_a_large_file_goes_in_parts_that_are_joined_once(
    audio: AudioStore, direct: DirectStore, parts: PartStore, put: Put
) -> None:
    offer = direct.offer("a", size_bytes=len(LONG), media_type="audio/flac", seconds=60)
    assert len(offer.requests) > 1
    assert offer.multipart is not None
    first, *others = pieces(offer.requests, LONG)
    for request, data in reversed(others):
        assert put(request, data) == 200
    with pytest.raises(Conflict, match=f"{len(LONG):,}"):
        parts.join("a", multipart=offer.multipart, size_bytes=len(LONG))
    assert put(*first) == 200
    parts.join("a", multipart=offer.multipart, size_bytes=len(LONG))
    parts.join("a", multipart=offer.multipart, size_bytes=len(LONG))
    with audio.open("a") as file:
        assert file.seek(0, 2) == len(LONG)


def test_nothing_is_there_before_it_is_sent(audio: AudioStore, direct: DirectStore) -> None:
    offered(direct, SONG)
    offered(direct, LONG, "b")
    for key in ("a", "b"):
        with pytest.raises(AudioMissing):
            audio.open(key).read()

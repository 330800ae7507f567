"""Fragments and blocks are found by their times, and false times end as a result or a problem."""

import io
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest

from shared.errors import Unanalysable
from tests.support.audio_files import audio_file
from tests.support.counting_file import CountingFile
from tests.support.long_kinds import LONG_KINDS
from worker.decoding.byte_source import ByteSource
from worker.decoding.decode import decode
from worker.decoding.seeking.bisection import Mark, find_mark_before
from worker.decoding.seeking.mp4_fragments import FragmentedMp4
from worker.sandbox.child import BUFFER_BYTES

SECONDS = 40


def fragmented() -> bytes:
    return audio_file("mp4-fragmented", seconds=SECONDS)


def with_boxes(name: bytes, body: bytes) -> bytes:
    """Return fragments after a box that says *body*."""
    content = fragmented()
    at = content.index(b"moof") - 4
    return content[:at] + (8 + len(body)).to_bytes(4) + name + body + content[at:]


def patched(name: bytes, offset: int, value: bytes) -> bytes:
    """Return fragments in which every box of *name* has *value* at *offset* after its name."""
    content = bytearray(fragmented())
    at = content.find(name)
    while at >= 0:
        content[at + 4 + offset : at + 4 + offset + len(value)] = value
        at = content.find(name, at + 4)
    return bytes(content)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "an index of many entries": lambda: with_boxes(b"sidx", bytes(20) + b"\0\0\xff\xff"),
    "an index that leads to itself": lambda: with_boxes(
        b"sidx", bytes(20) + b"\0\0\0\1" + b"\x80\0\0\0" + bytes(8)
    ),
    "a box without length": lambda: with_boxes(b"free", b"\0\0\0\0free" * 10),
    "a box shorter than its header": lambda: with_boxes(b"free", b"") + b"\0\0\0\1moof",
    "fragments of one time": lambda: patched(b"tfdt", 4, bytes(4)),
    "fragments of the far future": lambda: patched(b"tfdt", 4, b"\xff" * 4),
    "fragments of other tracks": lambda: patched(b"tfhd", 4, b"\0\0\0\7"),
    "fragments without samples": lambda: patched(b"trun", 4, bytes(4)),
    "fragments of many samples": lambda: patched(b"trun", 4, b"\xff" * 4),
    "a cut fragment": lambda: fragmented()[:-5000],
    "zeros in the middle": lambda: fragmented()[:100_000] + bytes(100_000) + fragmented()[200_000:],
    "no time scale": lambda: patched(b"mdhd", 12, bytes(4)),
    "blocks of one time": lambda: wavpack(lambda number: 0),
    "blocks that go back": lambda: wavpack(lambda number: (1 << 31) - number),
    "blocks of the far future": lambda: wavpack(lambda number: (1 << 32) - 1),
}


def wavpack(index: Callable[[int], int]) -> bytes:
    """Return WavPack whose blocks begin at the samples that *index* makes of their numbers."""
    content = bytearray(audio_file("wavpack", seconds=SECONDS))
    at, number = 0, 0
    while at < len(content):
        content[at + 16 : at + 20] = index(number).to_bytes(4, "little")
        at += 8 + int.from_bytes(content[at + 4 : at + 8], "little")
        number += 1
    return bytes(content)


@pytest.mark.parametrize("start", [0.0, 30.0])
@pytest.mark.parametrize("name", HOSTILE)
def test_false_boxes_and_blocks_end_as_a_result_or_a_problem(name: str, start: float) -> None:
    content = HOSTILE[name]()
    file = CountingFile(content)
    with suppress(Unanalysable):
        decode(io.BufferedReader(file, BUFFER_BYTES), start_seconds=start, window_seconds=5)
    assert file.bytes_read < 8 * len(content) + (8 << 20)


@pytest.mark.parametrize("name", [name for name in HOSTILE if "block" not in name])
def test_the_length_of_false_fragments_is_a_number_or_unknown(name: str) -> None:
    content = HOSTILE[name]()
    with suppress(ValueError):
        duration = FragmentedMp4(
            ByteSource(io.BytesIO(content)).read_range, size=len(content)
        ).duration_seconds
        assert duration is None or duration < 1 << 32


def test_the_last_fragment_tells_the_length() -> None:
    content = LONG_KINDS["mp4-fragments"]().content
    file = CountingFile(content)
    source = ByteSource(io.BufferedReader(file, BUFFER_BYTES))
    duration = FragmentedMp4(source.read_range, size=len(content)).duration_seconds
    assert duration == pytest.approx(7_200, abs=5)
    assert file.bytes_read < 2 << 20


def test_a_mark_is_found_with_few_probes() -> None:
    sizes = np.random.default_rng(1).integers(10_000, 90_000, 3_600)
    offsets = np.append(0, np.cumsum(sizes))
    probes: list[int] = []

    def find(offset: int, end: int) -> Mark | None:
        probes.append(offset)
        number = int(np.searchsorted(offsets, offset))
        return Mark(offset=int(offsets[number]), seconds=2.0 * number) if offsets[number] < end else None

    for target in (10.0, 600.0, 3_600.0, 7_100.0, 9_000.0):
        probes.clear()
        mark = find_mark_before(
            find,
            first=Mark(offset=0, seconds=0.0),
            second=Mark(offset=int(offsets[1]), seconds=2.0),
            end=int(offsets[-1]),
            target=target,
        )
        wanted = offsets[min(len(sizes), int(target / 2))]
        assert mark.offset <= wanted
        assert wanted - mark.offset < 1_000_000
        assert len(probes) <= 10

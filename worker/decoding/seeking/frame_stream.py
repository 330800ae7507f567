"""Finds places in recordings that are nothing but frames: MP3, AAC in ADTS, AC-3, E-AC-3 and DTS.

They have no timestamps. A place is computed if all frames have one bit rate, and counted from the nearer end
if few bytes lie between. Elsewhere an index gives an estimate; without one, all frames before are counted.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from shared.domain.audio.mpeg_frames import HEADER_BYTES, MpegFrame, parse_frame
from worker.decoding.seeking.ac3_frames import SYNC as AC3_SYNC
from worker.decoding.seeking.ac3_frames import parse_ac3_frame
from worker.decoding.seeking.dts_frames import HEADER_BYTES as DTS_HEADER_BYTES
from worker.decoding.seeking.dts_frames import SYNCS as DTS_SYNCS
from worker.decoding.seeking.dts_frames import parse_dts_frame
from worker.decoding.seeking.place import Place
from worker.decoding.seeking.xing_header import (
    DECODER_DELAY,
    is_index_frame,
    make_index_frame,
    parse_xing_header,
)

_CHUNK_BYTES = 1 << 15
_PROBE_BYTES = 3 << 16
"""Less than what the sandbox reads at once."""
_COUNTED_BYTES = 1 << 20
"""So many bytes beyond the window are read to count frames instead of estimating."""
_MAX_KEPT_BYTES = 4 << 20
_PROBES = 4
_CONFIRMING_FRAMES = 2
_MAX_FRAME_BYTES = 8_192
_MAX_HEADER_BYTES = max(HEADER_BYTES, DTS_HEADER_BYTES)
_MIN_FRAME_BYTES = 24
# A frame of MP3 uses bits of up to nine frames before it, and the decoder wakes up slowly.
_PREROLL_SECONDS = 0.5
_MAX_BIT_RATE_ERROR = 0.005
_MAX_UNEVEN_BYTES = 16
"""Padding evens out the size of frames after so many."""


Parser = Callable[[bytes], MpegFrame | None]
"""Reads the first bytes of a frame."""


class RangeReader(Protocol):
    """What `ByteSource.read_range` does."""

    def __call__(self, offset: int, size: int, *, keep: bool = False) -> bytes:
        """Return the bytes at *offset*."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Probe:
    seconds: float
    size_bytes: int
    rates: set[int]
    """Bits per second."""


class FrameStream:
    """The frames of one file. Reads only as much as a question needs."""

    def __init__(self, read: RangeReader, *, start: int, end: int) -> None:
        """*start* is the offset of the first byte after leading tags, *end* the size of the file.

        Raises:
            ValueError: no frame is near the start.
        """
        self._read = read
        self._end = end
        self._kind: tuple[int, int, int] | None = None
        self._counted_seconds: float | None = None
        self._probed: dict[int, _Probe] = {}
        self._parse, self._sync = _parser_of(read(start, len(DTS_SYNCS[0])))
        first = next(self._frames(start, start + _PROBE_BYTES), None)
        if first is None or read(start, first[0] - start).strip(b"\0"):
            raise ValueError("no frame")
        offset, frame = first
        self._kind = frame.kind
        self._sample_rate, self._frame_samples = frame.sample_rate, frame.samples
        content = read(offset, frame.size_bytes)
        self._header, self._frame = content[:HEADER_BYTES], frame
        has_index = self._parse is parse_frame and is_index_frame(content, frame)
        self._index = parse_xing_header(content, frame, stored_bytes=end - offset) if has_index else None
        self._index_offset = offset
        self._first = offset + frame.size_bytes if has_index else offset
        # Decoders are given an index with every place, and leave out samples because of it.
        left_out = -DECODER_DELAY if frame.is_layer3 and not has_index else 0
        delay = self._index.delay_samples if self._index else left_out
        self._delay_seconds = delay / frame.sample_rate

    @property
    def duration_seconds(self) -> float:
        """Of all frames. Estimated for a varying bit rate without an index."""
        if self._counted_seconds is not None:
            return self._counted_seconds
        return float(self._course[1][-1])

    @property
    def is_duration_exact(self) -> bool:
        """Whether the frames are counted, by an index or by us, or all have one bit rate."""
        is_counted = self._counted_seconds is not None or self._end - self._first <= _COUNTED_BYTES
        return is_counted or self._index is not None or self._constant_mean_bytes is not None

    def place_before(self, seconds: float, *, window_seconds: float) -> Place | None:
        """Return a place shortly before *seconds*, early enough for decoders to be right there.

        Returns None if the recording ends before *seconds*.
        """
        target = max(0.0, seconds + self._delay_seconds - _PREROLL_SECONDS)
        frame_seconds = self._frame_samples / self._sample_rate
        offsets, times = self._course
        offset = int(np.interp(target, times, offsets))
        is_indexed = self.is_duration_exact
        if is_indexed and seconds >= self.duration_seconds:
            return None
        if not is_indexed or offset - self._first <= _COUNTED_BYTES:
            return self._counted_from_start(target, seconds)
        if (mean := self._constant_mean_bytes) is not None:
            found = next(self._frames(offset, offset + _PROBE_BYTES), None)
            return found and self._place(found[0], round((found[0] - self._first) / mean) * frame_seconds)
        window_bytes = int(np.interp(target + window_seconds, times, offsets)) - offset
        near = min(_COUNTED_BYTES + window_bytes, _MAX_KEPT_BYTES)
        if self._index and self._end - offset <= near:
            place = self._counted_from_end(target, offset, self._index.frames, near)
            if place is not None:
                return place
        found = next(self._frames(offset, offset + _PROBE_BYTES), None)
        if found is None:
            return None
        place = self._place(found[0], float(np.interp(found[0], offsets, times)))
        return replace(place, is_estimated=True)

    def _place(self, offset: int, seconds: float) -> Place:
        return Place(
            offset=offset,
            seconds=seconds - self._delay_seconds,
            head=make_index_frame(
                self._header, self._frame, frames=(self._end - offset) // _MIN_FRAME_BYTES + 1
            ),
        )

    def _counted_from_start(self, target: float, seconds: float) -> Place | None:
        """Count frames up to *target*. Returns None if the recording ends before *seconds*."""
        frame_seconds = self._frame_samples / self._sample_rate
        before, place, count = int(target / frame_seconds), self._first, 0
        for count, (offset, _) in enumerate(self._frames(self._first, self._end), start=1):
            if count == before + 1:
                place = offset
            if count * frame_seconds > seconds:
                return self._place(place, before * frame_seconds)
        self._counted_seconds = count * frame_seconds
        return None

    def _counted_from_end(self, target: float, offset: int, frames: int, max_bytes: int) -> Place | None:
        """Count frames from about *offset* to the end, of *frames* in all. Returns None if it is further."""
        frame_seconds = self._frame_samples / self._sample_rate
        while self._end - offset <= max_bytes + _PROBE_BYTES:
            self._read(offset, self._end - offset, keep=True)
            places = [at for at, _ in self._frames(offset, self._end)]
            wanted = int(target / frame_seconds) - (frames - len(places))
            if not places or wanted >= len(places):
                return None
            if wanted >= 0:
                return self._place(places[wanted], int(target / frame_seconds) * frame_seconds)
            offset -= int(-wanted * (self._end - offset) / len(places) * 1.1) + _MAX_FRAME_BYTES
        return None

    @cached_property
    def _constant_mean_bytes(self) -> float | None:
        frames = [frame for _, frame in self._frames(self._first, self._first + _PROBE_BYTES)]
        rates = {frame.bits_per_second for frame in frames}
        if len(rates) != 1 or 0 in rates:
            return None
        mean = self._frame_samples * next(iter(rates)) / 8 / self._sample_rate
        size = sum(frame.size_bytes for frame in frames)
        has_one_size = len({frame.size_bytes for frame in frames}) == 1
        if has_one_size or abs(size - mean * len(frames)) > _MAX_UNEVEN_BYTES:
            mean = size / len(frames)  # the encoder pads no frame, or all
        if self._index is not None:
            claimed = self._index.size_bytes / self._index.frames
            if abs(claimed - mean) <= _MAX_BIT_RATE_ERROR * mean:
                return mean
        return mean if all(self._probe(number).rates == rates for number in range(_PROBES)) else None

    def _probe(self, number: int) -> _Probe:
        """Look at the middle of one of `_PROBES` parts of the file."""
        if number not in self._probed:
            middle = self._first + int((number + 0.5) / _PROBES * (self._end - self._first))
            start = max(self._first, middle - _PROBE_BYTES // 2)
            frames = [frame for _, frame in self._frames(start, start + _PROBE_BYTES)]
            self._probed[number] = _Probe(
                seconds=len(frames) * self._frame_samples / self._sample_rate,
                size_bytes=sum(frame.size_bytes for frame in frames),
                rates={frame.bits_per_second for frame in frames},
            )
        return self._probed[number]

    @cached_property
    def _course(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Offsets and the seconds of the frames there, from the first frame to the end."""
        if self._end - self._first <= _COUNTED_BYTES:
            return self._counted_course()
        if (mean := self._constant_mean_bytes) is not None:
            frames = (self._end - self._first) / mean
            seconds = frames * self._frame_samples / self._sample_rate
            return np.array([self._first, self._end], np.float64), np.array([0.0, seconds])
        if self._index is not None:
            offsets = self._index_offset + self._index.offsets
            end = min(float(self._end), float(offsets[-1]))
            last = float(np.interp(end, offsets, self._index.seconds))
            inside = offsets < end
            return np.append(offsets[inside], end), np.append(self._index.seconds[inside], last)
        probes = [self._probe(number) for number in range(_PROBES)]
        part = (self._end - self._first) / _PROBES
        parts = [part * probe.seconds / max(1, probe.size_bytes) for probe in probes]
        return np.linspace(self._first, self._end, _PROBES + 1), np.cumsum([0.0, *parts])

    def _counted_course(self) -> tuple[NDArray[Any], NDArray[Any]]:
        frames = list(self._frames(self._first, self._end))
        offsets = [float(offset) for offset, _ in frames] + [float(self._end)]
        return np.array(offsets), np.arange(len(offsets)) * (self._frame_samples / self._sample_rate)

    def _frames(self, start: int, end: int) -> Iterator[tuple[int, MpegFrame]]:
        """Yield the offset and header of each frame that begins in a range. Steps over what is no frame."""
        end = min(end, self._end)
        data, base, at = b"", start, start
        is_synchronous = False
        while at < end:
            if at + 3 * _MAX_FRAME_BYTES > base + len(data) and base + len(data) < end:
                rest = data[at - base :]
                wanted = min(_CHUNK_BYTES, end - at - len(rest))
                data, base = rest + self._read(at + len(rest), wanted), at
                if len(data) == len(rest):
                    end = base + len(data)  # the size was an estimate
            frame = self._frame_at(data, at - base)
            if frame is not None and (is_synchronous or self._is_confirmed(data, at - base, frame)):
                is_synchronous = True
                yield at, frame
                at += frame.size_bytes
            else:
                is_synchronous = False
                found = data.find(self._sync, at - base + 1)
                at = base + (found if found >= 0 else len(data))

    def _frame_at(self, data: bytes, at: int) -> MpegFrame | None:
        frame = self._parse(data[at : at + _MAX_HEADER_BYTES])
        return frame if frame is not None and self._kind in (None, frame.kind) else None

    def _is_confirmed(self, data: bytes, at: int, frame: MpegFrame) -> bool:
        """Whether further frames of the same kind follow, as far as there are bytes."""
        for _ in range(_CONFIRMING_FRAMES):
            at += frame.size_bytes
            if at >= len(data):
                return True
            following = self._frame_at(data, at)
            if following is None or following.kind != frame.kind:
                return False
            frame = following
        return True


def _parser_of(head: bytes) -> tuple[Parser, bytes]:
    """Return who reads the frames of a file that begins with *head*, and what each frame begins with."""
    if head.startswith(AC3_SYNC):
        return parse_ac3_frame, AC3_SYNC
    return (parse_dts_frame, head) if head in DTS_SYNCS else (parse_frame, b"\xff")

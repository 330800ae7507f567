"""Shows decoders only the part of a file that a window needs, if they would read all of it."""

from dataclasses import dataclass

from shared.domain.report import DurationAccuracy
from worker.decoding.byte_source import ByteSource
from worker.decoding.seeking.ac3_frames import SYNC as AC3_SYNC
from worker.decoding.seeking.dts_frames import SYNCS as DTS_SYNCS
from worker.decoding.seeking.flac_metadata import short_metadata
from worker.decoding.seeking.flv_tags import FlvTags
from worker.decoding.seeking.frame_stream import FrameStream
from worker.decoding.seeking.mp4_boxes import begins_with_index_box
from worker.decoding.seeking.mp4_fragments import FragmentedMp4
from worker.decoding.seeking.place import Place
from worker.decoding.seeking.speech_frames import SpeechFrames, can_begin_speech_frames
from worker.decoding.seeking.wavpack_blocks import find_wavpack_block
from worker.file_problems import file_problem

_MIN_HIDDEN_SECONDS = 1.0
"""A decoder reads so much in no time."""
_END_BYTES = 1 << 19
"""Where the last fragment of an MP4 is looked for: it usually lasts a few seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """How long the whole recording is."""

    seconds: float | None
    accuracy: DurationAccuracy


@dataclass(frozen=True, slots=True, kw_only=True)
class Approach:
    """What decoders get instead of the whole file."""

    tags_end: int = 0
    """Offset of what follows leading tags."""
    hidden_seconds: float = 0.0
    """How much of the recording is hidden from decoders that count from the first byte."""
    is_start_estimated: bool = False
    """Whether *hidden_seconds* are estimated from a coarse index."""
    duration: Duration | None = None
    """None if decoders can know it."""
    needs_index: bool = True
    """False if FFmpeg must not look for an index, because it would read the whole file for one."""


def approach(source: ByteSource, *, tags_end: int, start_seconds: float, window_seconds: float) -> Approach:
    """Hide what lies before *start_seconds* in *source*.

    Raises:
        Undecodable: the recording ends before *start_seconds*.
    """
    head = source.read_range(tags_end, 8)
    if begins_with_index_box(head) and tags_end == 0:
        return _approach_fragments(source, start_seconds)
    if head[:4] == b"fLaC":
        metadata = short_metadata(source.read_range, start=tags_end)
        if metadata is None:
            return Approach(tags_end=tags_end)
        source.skip_first_bytes(metadata[0], instead=metadata[1])
        return Approach()
    if start_seconds < _MIN_HIDDEN_SECONDS:
        return Approach(tags_end=tags_end)
    if head[:4] == b"wvpk" and tags_end == 0:
        return _approach_wavpack(source, start_seconds)
    if can_begin_speech_frames(head) and tags_end == 0:
        return _approach_speech(source, start_seconds)
    if head[:4] == b"FLV\1" and tags_end == 0:
        return _approach_flv(source, start_seconds)
    if head.lstrip(b"\0")[:1] in (b"", b"\xff") or head.startswith((AC3_SYNC, *DTS_SYNCS)):
        return _approach_frames(source, tags_end, start_seconds, window_seconds)
    return Approach(tags_end=tags_end)


def _approach_wavpack(source: ByteSource, start_seconds: float) -> Approach:
    block = find_wavpack_block(source.read_range, size=source.size_bytes, seconds=start_seconds)
    if block is None:
        return Approach()
    source.skip_first_bytes(block.offset)
    accuracy = DurationAccuracy.EXACT if block.duration_seconds else DurationAccuracy.UNKNOWN
    return Approach(duration=Duration(seconds=block.duration_seconds, accuracy=accuracy))


def _approach_flv(source: ByteSource, start_seconds: float) -> Approach:
    try:
        tags = FlvTags(source.read_range, size=source.size_bytes)
    except ValueError:
        return Approach()
    place = tags.place_before(start_seconds)
    return _begin_at(source, place, tags.duration_seconds, DurationAccuracy.ESTIMATED)


def _approach_speech(source: ByteSource, start_seconds: float) -> Approach:
    try:
        frames = SpeechFrames(source.read_range, size=source.size_bytes)
        place = frames.place_before(start_seconds)
        duration_seconds = frames.duration_seconds
    except ValueError:
        return Approach()
    accuracy = DurationAccuracy.EXACT if frames.is_duration_exact else DurationAccuracy.ESTIMATED
    return _begin_at(source, place, duration_seconds, accuracy)


def _approach_frames(
    source: ByteSource, tags_end: int, start_seconds: float, window_seconds: float
) -> Approach:
    try:
        stream = FrameStream(source.read_range, start=tags_end, end=source.size_bytes)
    except ValueError:
        return Approach(tags_end=tags_end)
    place = stream.place_before(start_seconds, window_seconds=window_seconds)
    accuracy = DurationAccuracy.EXACT if stream.is_duration_exact else DurationAccuracy.ESTIMATED
    return _begin_at(source, place, stream.duration_seconds, accuracy)


def _begin_at(
    source: ByteSource, place: Place | None, duration_seconds: float, accuracy: DurationAccuracy
) -> Approach:
    """Hide what lies before *place*. Raises Undecodable without one: the recording ends before the start."""
    if place is None:
        raise file_problem("start_past_end", int(duration_seconds))
    source.skip_first_bytes(place.offset, instead=place.head)
    return Approach(
        hidden_seconds=place.seconds,
        is_start_estimated=place.is_estimated,
        duration=Duration(seconds=duration_seconds, accuracy=accuracy),
    )


def _approach_fragments(source: ByteSource, start_seconds: float) -> Approach:
    try:
        fragments = FragmentedMp4(source.read_range, size=source.size_bytes)
    except ValueError:
        return Approach()
    gap = fragments.gap_before(start_seconds) if start_seconds > 0 else None
    if gap is not None:
        source.replace(gap.start, gap.box)
    if start_seconds > 0 and gap is None:
        return Approach()
    seconds = fragments.duration_at_end(_END_BYTES)
    accuracy = DurationAccuracy.ESTIMATED if seconds else DurationAccuracy.UNKNOWN
    return Approach(needs_index=False, duration=Duration(seconds=seconds, accuracy=accuracy))

"""Tells how far the duration of a recording can be trusted, and corrects it if its end was reached."""

from dataclasses import replace
from typing import BinaryIO, cast

from shared.domain.audio.mpeg_frames import HEADER_BYTES, parse_frame
from shared.domain.report import DurationAccuracy
from worker.decoding.byte_source import ByteSource
from worker.decoding.header_limits import leading_tags_end
from worker.decoding.seeking.xing_header import parse_xing_header
from worker.decoding.window import Recording

# Their headers, indexes or last pages count samples or time. FFmpeg derives others from a bit rate.
_COUNTING_CONTAINERS = {
    "aiff", "ape", "asf", "au", "avi", "avr", "caf", "dsf", "flac", "iff", "ircam", "matroska", "mp4", "mpc",
    "mpc8", "mxf", "nistsphere", "ogg", "shn", "tak", "tta", "voc", "w64", "wav", "wv",
}  # fmt: skip
_FIRST_FRAME_BYTES = 4096


def with_checked_duration(recording: Recording, source: ByteSource, *, window_seconds: float) -> Recording:
    """Return *recording* with the accuracy of its duration, and with its real end if that was decoded."""
    is_full = len(recording.samples) >= round(window_seconds * recording.sample_rate)
    if not is_full and not recording.is_damaged and not source.read_limit_reached:
        end = recording.start_seconds + recording.seconds
        return replace(recording, duration_seconds=end, duration_accuracy=DurationAccuracy.EXACT)
    if recording.duration_seconds is None or recording.duration_accuracy is not DurationAccuracy.UNKNOWN:
        return recording
    is_counted = recording.container in _COUNTING_CONTAINERS or (
        recording.container == "mp3" and _counts_frames(source)
    )
    accuracy = DurationAccuracy.EXACT if is_counted else DurationAccuracy.ESTIMATED
    return replace(recording, duration_accuracy=accuracy)


def _counts_frames(source: ByteSource) -> bool:
    """Whether the first frame of an MP3 has an index that says how many there are."""
    start = leading_tags_end(cast(BinaryIO, source))
    head = source.read_range(start, _FIRST_FRAME_BYTES)
    content = head.lstrip(b"\0")
    stored_bytes = source.size_bytes - start - (len(head) - len(content))
    frame = parse_frame(content[:HEADER_BYTES])
    return frame is not None and parse_xing_header(content, frame, stored_bytes=stored_bytes) is not None

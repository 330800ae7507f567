"""Looks where a recording really ends, because headers guess or lie."""

from typing import BinaryIO, cast

from shared.errors import KammertonError
from worker.decoding.byte_source import ByteSource
from worker.decoding.header_limits import check_header_limits
from worker.decoding.seeking.flac_frames import flac_seconds
from worker.decoding.seeking.flv_tags import FlvTags
from worker.decoding.seeking.frame_stream import FrameStream
from worker.decoding.seeking.mp4_boxes import begins_with_index_box
from worker.decoding.seeking.mp4_fragments import FragmentedMp4
from worker.decoding.seeking.speech_frames import SpeechFrames, can_begin_speech_frames


def measured_duration(audio: BinaryIO) -> float | None:
    """Return the seconds up to the last audio in *audio*, estimated for a varying bit rate.

    Looks at MP3, ADTS, AC-3, DTS, AMR, GSM, FLAC, FLV and MP4 of fragments. Returns None for others, whose
    headers count samples, and for AMR of several bit rates.
    """
    source = ByteSource(audio)
    try:
        start = check_header_limits(cast(BinaryIO, source))
    except KammertonError:
        return None
    head = source.read_range(start, 8)
    try:
        if head.startswith(b"fLaC"):
            return flac_seconds(source.read_range, start=start, size=source.size_bytes)
        if begins_with_index_box(head):
            return FragmentedMp4(source.read_range, size=source.size_bytes).duration_seconds
        if head.startswith(b"FLV\1") and start == 0:
            return FlvTags(source.read_range, size=source.size_bytes).duration_seconds
        if can_begin_speech_frames(head) and start == 0:
            return SpeechFrames(source.read_range, size=source.size_bytes).duration_seconds
        return FrameStream(source.read_range, start=start, end=source.size_bytes).duration_seconds
    except ValueError:
        return None
    finally:
        source.raise_read_error()

"""Decodes what libsndfile can't read with FFmpeg (PyAV): AAC, M4A, MP4, WebM, WMA, ALAC, AMR and others.

Opens no playlist, no second file and no URL: only the bytes it is given.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard

from shared.domain.audio.formats import FORMATS
from shared.errors import KammertonError
from worker.decoding.block_mixer import BlockMixer
from worker.decoding.pyav_frames import FrameReader, replace_custom_layout
from worker.decoding.silence import is_silent
from worker.decoding.tracks import describe_track, order_tracks
from worker.decoding.window import Recording, Window, check_format
from worker.file_problems import file_problem

# Without these options a playlist under any name makes FFmpeg fetch URLs and open local files.
# Measured: they suffice on their own, and cost 3 of 1,084 decodable real files.
OPTIONS = {
    "format_whitelist": ",".join(sorted({name for each in FORMATS for name in each.demuxers})),
    "protocol_whitelist": "none",
}

# A minute has at most 24,000 packets of Opus (2.5 ms each) or 3,000 of AMR; some PCM has more.
MAX_PACKETS = 200_000
MAX_PACKETS_WITHOUT_AUDIO = 10_000
# In a row. A pause of a minute in AMR is 3,000 packets that FFmpeg can't decode.
MAX_DECODE_ERRORS = 5_000
MAX_ERRORS_AT_END = 2
"""A file that was cut in the middle of a packet isn't called damaged."""
MAX_TRACKS = 4
"""So many audio tracks are tried until one is not silent."""

# Their demuxers seek to an index or to a timestamp. Others guess from a bit rate: packets are counted.
_EXACT_CONTAINERS = {
    "aiff", "ape", "asf", "au", "avi", "caf", "flac", "flv", "matroska", "mp3", "mp4",
    "mpegts", "ogg", "tta", "w64", "wv",
}  # fmt: skip
# Decoders need some packets before the first one that counts.
_PREROLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Demuxer:
    """How FFmpeg reads a container."""

    name: str | None = None
    """None if FFmpeg recognizes the container itself."""
    reads_index: bool = True
    """False if it must not: of an MP4 of fragments, FFmpeg would read all headers."""

    def options(self) -> dict[str, str]:
        """Return the options to open a file with."""
        return dict(OPTIONS) if self.reads_index else OPTIONS | {"fflags": "ignidx"}


_ANY_DEMUXER = Demuxer()


@dataclass(slots=True)
class _Progress:
    """What decoding has come to."""

    position_seconds: float = 0.0
    has_audio: bool = False
    is_damaged: bool = False


def decode_with_ffmpeg(
    audio: BinaryIO,
    *,
    start_seconds: float,
    window_seconds: float,
    on_audio: Callable[[], None] = lambda: None,
    demuxer: Demuxer = _ANY_DEMUXER,
) -> Recording:
    """Decode the first audio track of *audio* that is not silent: default tracks first, then in order.

    Calls *on_audio* whenever what was read so far was of use.

    Raises:
        Undecodable: there is no audio track, or no sample in it.
        TooComplex: a track has too many packets for its audio, or an index that takes too much memory.
        av.FFmpegError, MemoryError: the file can't be opened.
    """
    silent: Recording | None = None
    for number in range(MAX_TRACKS):
        audio.seek(0)
        try:
            with av.open(
                audio, mode="r", format=demuxer.name, options=demuxer.options(), metadata_errors="replace"
            ) as container:
                tracks = order_tracks(container)
                if number == len(tracks):
                    break
                window = Window(seconds=window_seconds, on_audio=on_audio)
                recording = replace(
                    _decode_track(container, tracks[number], start_seconds, window),
                    track=describe_track(container, tracks[number], tried=number),
                )
        except (KammertonError, av.FFmpegError):
            if silent is not None:
                return silent
            raise
        if not is_silent(recording.samples, recording.codec):
            return recording
        silent = silent or recording
    if silent is None:
        raise file_problem("no_audio_track")
    return silent


def _decode_track(
    container: InputContainer, stream: AudioStream, start_seconds: float, window: Window
) -> Recording:
    for other in container.streams:
        if other is not stream:
            other.discard = Discard.all
    stream.codec_context.thread_count = 1
    replace_custom_layout(stream.codec_context)
    if _has_lost_index(container, stream):
        raise file_problem("unreadable_index")
    reader, mixer, progress = FrameReader(), BlockMixer(window), _Progress()
    can_seek = _seeks_exactly(container, stream)
    if can_seek:
        _seek(container, stream, start_seconds)
    packets = _packets(container, stream, progress)
    if start_seconds > 0 and not can_seek:
        packets = _skip(packets, stream, start_seconds - _PREROLL_SECONDS, window.note_audio)
    first: AudioFrame | None = None
    started = 0.0
    for frame, position in _frames(packets, stream, reader, progress):
        check_format(channels=frame.layout.nb_channels, sample_rate=frame.sample_rate)
        skip = 0
        if first is None:
            skip = max(0, round((start_seconds - position) * frame.sample_rate))
            if skip >= frame.samples:
                continue
            first, started = frame, position + skip / frame.sample_rate
        for block in reader.samples(frame):
            mixer.add(block[..., skip:], sample_rate=frame.sample_rate)
            skip = max(0, skip - block.shape[-1])
        if window.is_full:
            break
    mixer.flush()
    duration = _duration_seconds(container, stream)
    if first is None:
        raise _no_samples(start_seconds, progress, duration)
    samples, sample_rate = window.finish()
    return Recording(
        samples=samples,
        sample_rate=sample_rate,
        stored_sample_rate=first.sample_rate,
        channels=first.layout.nb_channels,
        container=_container_name(container),
        codec=stream.codec_context.codec.canonical_name,
        duration_seconds=duration,
        start_seconds=started,
        is_damaged=progress.is_damaged and not window.is_full,
    )


def _no_samples(start_seconds: float, progress: _Progress, duration: float | None) -> KammertonError:
    length = progress.position_seconds if progress.has_audio else duration or 0.0
    if 0 < length <= start_seconds:
        return file_problem("start_past_end", int(length))
    return file_problem("no_samples")


def _has_lost_index(container: InputContainer, stream: AudioStream) -> bool:
    """Whether an MP4 declares samples, but FFmpeg has no index, as when it takes too much memory."""
    return _container_name(container) == "mp4" and stream.frames > 0 and len(stream.index_entries) == 0


def _seeks_exactly(container: InputContainer, stream: AudioStream) -> bool:
    name = _container_name(container)
    return name in _EXACT_CONTAINERS or (name == "wav" and stream.codec_context.name.startswith("pcm_"))


def _seek(container: InputContainer, stream: AudioStream, start_seconds: float) -> None:
    if start_seconds <= 0 or not stream.time_base:
        return
    try:
        container.seek(int(start_seconds / stream.time_base) + (stream.start_time or 0), stream=stream)
    except av.FFmpegError:  # not seekable: decode everything before the window, within limits
        container.seek(0)


def _skip(
    packets: "Iterator[Packet[AudioStream]]",
    stream: AudioStream,
    until_seconds: float,
    on_audio: Callable[[], None],
) -> "Iterator[Packet[AudioStream]]":
    """Drop the packets that end before *until_seconds*, which is much faster than decoding them."""
    for packet in packets:
        if packet.pts is not None and packet.duration and packet.time_base:
            end = packet.pts + packet.duration - (stream.start_time or 0)
            if float(end * packet.time_base) < until_seconds:
                on_audio()
                continue
        yield packet
        break
    yield from packets


def _frames(
    packets: "Iterator[Packet[AudioStream]]", stream: AudioStream, reader: FrameReader, progress: _Progress
) -> Iterator[tuple[AudioFrame, float]]:
    """Yield frames and their start in seconds, within limits on packets and errors."""
    packets_without_audio = errors = 0
    last_stamp: float | None = None
    for count, packet in enumerate(packets, start=1):
        try:
            frames = reader.decode(packet)
        except MemoryError:  # PyAV's is an FFmpegError too
            raise
        except av.FFmpegError:
            errors += 1
            frames = []
        packets_without_audio, errors = (0, 0) if frames else (packets_without_audio + 1, errors)
        if (
            count > MAX_PACKETS
            or packets_without_audio > MAX_PACKETS_WITHOUT_AUDIO
            or errors > MAX_DECODE_ERRORS
        ):
            progress.is_damaged = True
            if progress.has_audio:  # what came before is a recording
                return
            raise file_problem("packets")
        for frame in frames:
            # Some RealMedia files stamp all packets with 0: then samples are counted.
            if frame.pts is not None and frame.time_base:
                stamp = float((frame.pts - (stream.start_time or 0)) * frame.time_base)
                if last_stamp is None or stamp > last_stamp:
                    progress.position_seconds = last_stamp = stamp
            progress.has_audio = True
            yield frame, progress.position_seconds
            progress.position_seconds += frame.samples / max(1, frame.sample_rate)
    progress.is_damaged = progress.is_damaged or errors > MAX_ERRORS_AT_END


def _packets(
    container: InputContainer, stream: AudioStream, progress: _Progress
) -> "Iterator[Packet[AudioStream]]":
    """Yield packets up to the end of the file or up to damage: what comes before is a recording."""
    try:
        yield from container.demux(stream)
    except MemoryError:
        raise
    except av.FFmpegError:
        progress.is_damaged = True


def _duration_seconds(container: InputContainer, stream: AudioStream) -> float | None:
    if stream.duration and stream.duration > 0 and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.duration and container.duration > 0:
        return container.duration / av.time_base
    return None


def _container_name(container: InputContainer) -> str:
    names = container.format.name.split(",")
    return "mp4" if "mp4" in names else names[0]

"""What libsndfile can't read, through FFmpeg (PyAV): AAC, M4A, MP4, WebM, WMA, ALAC, AMR and others.

Opens nothing but the bytes it is given: no playlist, no second file, no address.
"""

from collections.abc import Iterator
from typing import BinaryIO

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from numpy.typing import NDArray

from shared.errors import TooComplex, Undecodable
from worker.decoding.window import NO_AUDIO, Recording, Window, check_format, mix_down

# Without these a playlist under any name makes FFmpeg fetch addresses and open files of this machine.
# Measured: enough on its own, and 3 of 1,084 decodable real files are lost by it.
OPTIONS = {
    "format_whitelist": "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,caf,dsf,dts,eac3,flac,flv,gsm,matroska,mov,"
    "mp3,mpc,mpc8,mpeg,mpegts,ogg,tak,tta,voc,w64,wav,wv,avi",
    "protocol_whitelist": "none",
}

# A minute has at most 24,000 packets of Opus (2.5 ms each), 3,000 of AMR; some PCM is cut finer.
MAX_PACKETS = 200_000
MAX_BARREN_PACKETS = 10_000
MAX_DECODE_ERRORS = 500

_MAX_PLANES = 8

_FULL_SCALE = {"u8": 2.0**7, "s16": 2.0**15, "s32": 2.0**31, "s64": 2.0**63, "flt": 1.0, "dbl": 1.0}


def decode_with_ffmpeg(audio: BinaryIO, *, start_seconds: float, window: Window) -> Recording:
    """Fill *window* from the best audio stream of *audio*.

    Raises `Undecodable` when there is no such stream or no sample in it, `TooComplex` when it holds
    too many packets for its audio, and `av.FFmpegError` or `MemoryError` when it can't be opened.
    """
    with av.open(audio, mode="r", options=dict(OPTIONS), metadata_errors="replace") as container:
        stream = container.streams.best("audio")
        if not isinstance(stream, AudioStream):
            raise Undecodable("There is no audio in the file.", code="no_audio")
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all
        stream.codec_context.thread_count = 1
        _seek(container, stream, start_seconds)
        first: AudioFrame | None = None
        started = 0.0
        for frame, position in _frames(container, stream):
            check_format(channels=frame.layout.nb_channels, sample_rate=frame.sample_rate)
            _check_planes(frame)
            skip = 0
            if first is None:
                skip = max(0, round((start_seconds - position) * frame.sample_rate))
                if skip >= frame.samples:
                    continue
                first, started = frame, position + skip / frame.sample_rate
            window.add(_mono(frame)[skip:], sample_rate=frame.sample_rate)
            if window.is_full:
                break
        if first is None:
            raise Undecodable(NO_AUDIO, code="no_audio")
        samples, sample_rate = window.finish()
        return Recording(
            samples=samples,
            sample_rate=sample_rate,
            stored_sample_rate=first.sample_rate,
            channels=first.layout.nb_channels,
            container=_container_name(container),
            codec=stream.codec_context.codec.canonical_name,
            duration_seconds=_duration_seconds(container, stream),
            start_seconds=started,
        )


def _seek(container: InputContainer, stream: AudioStream, start_seconds: float) -> None:
    if start_seconds <= 0 or not stream.time_base:
        return
    try:
        container.seek(int(start_seconds / stream.time_base) + (stream.start_time or 0), stream=stream)
    except av.FFmpegError:  # some formats can't: then all before the window is decoded, within bounds
        container.seek(0)


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[tuple[AudioFrame, float]]:
    """Yield frames and where each begins, in seconds, within bounds on packets and errors."""
    barren = errors = 0
    position = 0.0
    for count, packet in enumerate(_packets(container, stream), start=1):
        try:
            frames = packet.decode()
        except MemoryError:  # PyAV's is an FFmpegError too
            raise
        except av.FFmpegError:
            errors += 1
            frames = []
        barren = 0 if frames else barren + 1
        if count > MAX_PACKETS or barren > MAX_BARREN_PACKETS or errors > MAX_DECODE_ERRORS:
            raise TooComplex("The file has too many pieces without audio, or too many broken ones.")
        for frame in frames:
            if frame.pts is not None and frame.time_base:
                position = float((frame.pts - (stream.start_time or 0)) * frame.time_base)
            yield frame, position
            position += frame.samples / max(1, frame.sample_rate)


def _packets(container: InputContainer, stream: AudioStream) -> "Iterator[Packet[AudioStream]]":
    """Yield packets up to the end of the file, or to where it breaks: what came before is a recording."""
    try:
        yield from container.demux(stream)
    except MemoryError:
        raise
    except av.FFmpegError:
        return


def _check_planes(frame: AudioFrame) -> None:
    """Refuse frames that PyAV 18.1 reads through wild pointers: more than 8 channels, one plane each."""
    if frame.format.is_planar and frame.layout.nb_channels > _MAX_PLANES:
        raise Undecodable(
            f"The file has {frame.layout.nb_channels} channels; at most {_MAX_PLANES} can be read here.",
            code="channels",
        )


def _mono(frame: AudioFrame) -> NDArray[np.float32]:
    """Mix a frame down to one channel, full scale at 1."""
    kind = frame.format.name.removesuffix("p")
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    middle = 128 if kind == "u8" else 0
    return (mix_down(values) - np.float32(middle)) / np.float32(_FULL_SCALE[kind])


def _duration_seconds(container: InputContainer, stream: AudioStream) -> float | None:
    if stream.duration and stream.duration > 0 and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.duration and container.duration > 0:
        return container.duration / av.time_base
    return None


def _container_name(container: InputContainer) -> str:
    names = container.format.name.split(",")
    return "mp4" if "mp4" in names else names[0]

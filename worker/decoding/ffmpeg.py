"""Decodes what libsndfile can't read with FFmpeg (PyAV): AAC, M4A, MP4, WebM, WMA, ALAC, AMR and others.

Opens no playlist, no second file and no URL: only the bytes it is given.
"""

from collections.abc import Iterator
from typing import BinaryIO

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard

from worker.decoding.downmix import Downmix
from worker.decoding.pyav_frames import FrameReader, replace_custom_layout
from worker.decoding.window import Recording, Window, check_format
from worker.file_problems import file_problem

# Without these options a playlist under any name makes FFmpeg fetch URLs and open local files.
# Measured: they suffice on their own, and cost 3 of 1,084 decodable real files.
OPTIONS = {
    "format_whitelist": "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,caf,dsf,dts,eac3,flac,flv,gsm,matroska,mov,"
    "mp3,mpc,mpc8,mpeg,mpegts,ogg,tak,tta,voc,w64,wav,wv,avi",
    "protocol_whitelist": "none",
}

# A minute has at most 24,000 packets of Opus (2.5 ms each) or 3,000 of AMR; some PCM has more.
MAX_PACKETS = 200_000
MAX_PACKETS_WITHOUT_AUDIO = 10_000
MAX_DECODE_ERRORS = 500


def decode_with_ffmpeg(audio: BinaryIO, *, start_seconds: float, window: Window) -> Recording:
    """Fill *window* from the best audio stream of *audio*.

    Raises:
        Undecodable: there is no audio stream, or no sample in it.
        TooComplex: the stream has too many packets for its audio.
        av.FFmpegError, MemoryError: the file can't be opened.
    """
    with av.open(audio, mode="r", options=dict(OPTIONS), metadata_errors="replace") as container:
        stream = container.streams.best("audio")
        if not isinstance(stream, AudioStream):
            raise file_problem("no_audio_track")
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all
        stream.codec_context.thread_count = 1
        replace_custom_layout(stream.codec_context)
        reader, downmix = FrameReader(), Downmix()
        _seek(container, stream, start_seconds)
        first: AudioFrame | None = None
        started = 0.0
        for frame, position in _frames(container, stream, reader):
            check_format(channels=frame.layout.nb_channels, sample_rate=frame.sample_rate)
            skip = 0
            if first is None:
                skip = max(0, round((start_seconds - position) * frame.sample_rate))
                if skip >= frame.samples:
                    continue
                first, started = frame, position + skip / frame.sample_rate
            for block in reader.samples(frame):
                mono = downmix.mix(block, sample_rate=frame.sample_rate)
                window.add(mono[skip:], sample_rate=frame.sample_rate)
                skip = max(0, skip - len(mono))
            if window.is_full:
                break
        if first is None:
            raise file_problem("no_samples")
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
    except av.FFmpegError:  # not seekable: decode everything before the window, within limits
        container.seek(0)


def _frames(
    container: InputContainer, stream: AudioStream, reader: FrameReader
) -> Iterator[tuple[AudioFrame, float]]:
    """Yield frames and their start in seconds, within limits on packets and errors."""
    packets_without_audio = errors = 0
    position = 0.0
    for count, packet in enumerate(_packets(container, stream), start=1):
        try:
            frames = reader.keep_layouts(packet.decode())
        except MemoryError:  # PyAV's is an FFmpegError too
            raise
        except av.FFmpegError:
            errors += 1
            frames = []
        packets_without_audio = 0 if frames else packets_without_audio + 1
        if (
            count > MAX_PACKETS
            or packets_without_audio > MAX_PACKETS_WITHOUT_AUDIO
            or errors > MAX_DECODE_ERRORS
        ):
            raise file_problem("packets")
        for frame in frames:
            if frame.pts is not None and frame.time_base:
                position = float((frame.pts - (stream.start_time or 0)) * frame.time_base)
            yield frame, position
            position += frame.samples / max(1, frame.sample_rate)


def _packets(container: InputContainer, stream: AudioStream) -> "Iterator[Packet[AudioStream]]":
    """Yield packets up to the end of the file or up to damage: what comes before is a recording."""
    try:
        yield from container.demux(stream)
    except MemoryError:
        raise
    except av.FFmpegError:
        return


def _duration_seconds(container: InputContainer, stream: AudioStream) -> float | None:
    if stream.duration and stream.duration > 0 and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.duration and container.duration > 0:
        return container.duration / av.time_base
    return None


def _container_name(container: InputContainer) -> str:
    names = container.format.name.split(",")
    return "mp4" if "mp4" in names else names[0]

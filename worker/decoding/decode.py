"""Any audio file object to mono samples, by libsndfile or FFmpeg. The only file that knows librosa.

Takes no path and no name, and so opens nothing but the bytes it is given.
"""

import os
from typing import BinaryIO, cast

import soundfile
from librosa import stream

from shared.errors import KammertonError, TooComplex, Undecodable
from worker.decoding.byte_source import Source
from worker.decoding.ffmpeg import decode_with_ffmpeg
from worker.decoding.header_limits import check_header_limits
from worker.decoding.window import Recording, Window, check_format, mix_down

__all__ = ["Recording", "decode"]

# What libsndfile is given. The two dozen studio formats it also knows are attack surface and no songs.
_LIBSNDFILE_STARTS = (b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b"fLaC", b"OggS", b"ID3", b"caff", b".snd")
# Of all channels together: 128 KiB. Where a file breaks, the block that it breaks in is lost.
_BLOCK_SAMPLES = 1 << 15
_NO_DECODER = "No decoder gets audio out of the file."
# Between two frames. FFmpeg 8.1 keeps all that lies there, and dies when it may not have more memory.
_FLAC_PATIENCE_BYTES = 8 << 20
_CONTAINERS = {"WAVEX": "wav", "RF64": "wav"}
_CODECS = {"MPEG_LAYER_III": "mp3", "MPEG_LAYER_II": "mp2", "MPEG_LAYER_I": "mp1"}
# libsndfile's "no idea" is 2**63 - 1 frames.
_MAX_DECLARED_FRAMES = 1 << 62


def decode(audio: BinaryIO, *, start_seconds: float, window_seconds: float) -> Recording:
    """Decode at most *window_seconds* of *audio*, from *start_seconds* on.

    Raises `Undecodable`, its code being `undecodable`, `no_audio`, `bad_samples`, `channels` or
    `sample_rate`; or `TooComplex`. What the file object itself raises comes through.
    """
    source = Source(audio)
    try:
        return _decode(source, start_seconds=start_seconds, window_seconds=window_seconds)
    except Undecodable as error:
        if source.gave_up:
            raise TooComplex("A large part of the file was read and no audio found in it.") from error
        raise
    except KammertonError:
        raise
    except MemoryError as error:  # also PyAV's own, for tiny files that claim much: never a reason to retry
        raise TooComplex("The file takes too much memory to decode.") from error
    finally:
        source.raise_failure()


def _decode(source: Source, *, start_seconds: float, window_seconds: float) -> Recording:
    """Try libsndfile, then FFmpeg; raises as `decode` does, and MemoryError."""
    audio = cast(BinaryIO, source)
    if source.seek(0, os.SEEK_END) == 0:
        raise Undecodable("The file is empty.", code="no_audio")
    tags_end = check_header_limits(audio)
    recording = None
    if _libsndfile_reads(source):
        try:
            window = Window(seconds=window_seconds, on_audio=source.audio_came_out)
            recording = _with_libsndfile(source, start_seconds=start_seconds, window=window)
        except soundfile.LibsndfileError:
            source.raise_failure()
    if recording is not None and (recording.seconds >= window_seconds or not source.has_more):
        return recording
    # libsndfile stops where a header ends the file or a frame is broken, though there be more.
    # FFmpeg in turn gives up on a tag of more than a megabyte, such as a large picture: it gets none.
    source.begin_at(tags_end)
    if source.read(4) == b"fLaC":
        source.patience_bytes = _FLAC_PATIENCE_BYTES
    source.seek(0)
    try:
        window = Window(seconds=window_seconds, on_audio=source.audio_came_out)
        other = decode_with_ffmpeg(audio, start_seconds=start_seconds, window=window)
    except Exception as error:  # decoders answer hostile bytes with anything, ZeroDivisionError included
        if recording is not None:
            return recording
        if isinstance(error, (KammertonError, MemoryError)):
            raise
        raise Undecodable(_NO_DECODER) from error
    return other if recording is None or other.seconds > recording.seconds else recording


def _libsndfile_reads(source: Source) -> bool:
    source.seek(0)
    start = source.read(4)
    source.seek(0)
    return start.startswith(_LIBSNDFILE_STARTS) or (start[:1] == b"\xff" and start[1:2] >= b"\xe0")


def _with_libsndfile(source: Source, *, start_seconds: float, window: Window) -> Recording | None:
    """Fill *window* through `librosa.stream`; None where libsndfile finds no samples."""
    with soundfile.SoundFile(source, "r") as file:
        check_format(channels=file.channels, sample_rate=file.samplerate)
        position = first_frame = int(start_seconds * file.samplerate)
        if position >= file.frames:
            return None
        block_frames = _BLOCK_SAMPLES // file.channels
        try:
            for block in stream(
                file,
                block_length=1,
                frame_length=block_frames,
                hop_length=block_frames,
                mono=False,  # librosa's own downmix refuses a recording for one sample that is no number
                offset=start_seconds,
                duration=window.wanted_seconds,
                fill_value=0.0,
            ):
                # A file that holds less than its header says gives blocks of filling: count what it read.
                decoded = file.tell() - position
                if decoded <= 0:
                    break
                window.add(mix_down(block[..., :decoded]), sample_rate=file.samplerate)
                position += decoded
        except soundfile.LibsndfileError:
            if position == first_frame:
                raise
        if position == first_frame:
            return None
        samples, sample_rate = window.finish()
        return Recording(
            samples=samples,
            sample_rate=sample_rate,
            stored_sample_rate=file.samplerate,
            channels=file.channels,
            container=_CONTAINERS.get(file.format, file.format.lower()),
            codec="flac" if file.format == "FLAC" else _CODECS.get(file.subtype, file.subtype.lower()),
            duration_seconds=file.frames / file.samplerate if file.frames < _MAX_DECLARED_FRAMES else None,
            start_seconds=first_frame / file.samplerate,
        )

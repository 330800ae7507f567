"""Decodes audio file objects to mono samples with libsndfile or FFmpeg. Only this module imports librosa.

Takes no path and no name, so that decoders can open nothing but the bytes they are given. Which files the API
accepts at all is in shared/domain/audio/formats.py.
"""

import os
from dataclasses import replace
from typing import BinaryIO, cast

import soundfile
from librosa import stream

from shared.domain.audio.formats import SNIFF_BYTES, AudioFormat, identify_format
from shared.errors import KammertonError, Undecodable
from worker.decoding.byte_source import ByteSource
from worker.decoding.downmix import Downmix
from worker.decoding.duration import with_checked_duration
from worker.decoding.ffmpeg import Demuxer, decode_with_ffmpeg
from worker.decoding.header_limits import check_header_limits
from worker.decoding.icy import ICY_STATUS_LINES, strip_icy
from worker.decoding.seeking.approach import Approach, approach
from worker.decoding.silence import is_silent
from worker.decoding.window import Recording, Window, check_format
from worker.file_problems import file_problem

__all__ = ["Recording", "decode"]

# All channels together, 128 KiB. A damaged block is lost whole.
_BLOCK_SAMPLES = 1 << 15
# No file makes a decoder raise these: we call it wrongly, or another release of it is installed.
_OUR_BUGS = (TypeError, AttributeError, NameError, ImportError)
# libsndfile reads leading tags, pictures included. Larger ones are hidden from it.
_MAX_READ_TAGS_BYTES = 1 << 16
# FFmpeg 8.1 buffers everything between two FLAC frames and crashes when it can't allocate more.
_MAX_FLAC_BYTES_WITHOUT_AUDIO = 8 << 20
# In others, such as ADPCM, libsndfile seeks to wrong places near the end.
_EXACT_SUBTYPES = ("PCM", "FLOAT", "DOUBLE", "ULAW", "ALAW", "VORBIS", "OPUS", "MPEG", "ALAC")
_CONTAINERS = {"WAVEX": "wav", "RF64": "wav"}
_CODECS = {"MPEG_LAYER_III": "mp3", "MPEG_LAYER_II": "mp2", "MPEG_LAYER_I": "mp1"}
# libsndfile reports 2**63 - 1 frames if it does not know the length.
_MAX_DECLARED_FRAMES = 1 << 62


def decode(
    audio: BinaryIO, *, start_seconds: float, window_seconds: float, cautious: bool = False
) -> Recording:
    """Decode up to *window_seconds* of *audio*, starting at *start_seconds*.

    If libsndfile finds less than that, FFmpeg is asked as well, and the longer recording counts. With
    *cautious*, any recording of libsndfile counts: FFmpeg could crash on the file.

    Raises:
        Undecodable: the code is `undecodable`, `no_audio`, `bad_samples`, `channels` or `sample_rate`.
        TooComplex: the file takes too much memory or reading.
        Exception: whatever the file object raises.
    """
    source = ByteSource(audio)
    if source.read_range(0, SNIFF_BYTES).startswith(ICY_STATUS_LINES):
        source = ByteSource(strip_icy(audio))
    try:
        source.skip_leading_zeros()
        recording = _decode(
            source, start_seconds=start_seconds, window_seconds=window_seconds, cautious=cautious
        )
        if is_silent(recording.samples, recording.codec):
            recording.samples.fill(0.0)
        return with_checked_duration(recording, source, window_seconds=window_seconds)
    except Undecodable as error:
        if source.read_limit_reached:
            raise file_problem("read_limit") from error
        raise
    except KammertonError:
        raise
    except (
        MemoryError
    ) as error:  # PyAV raises it too, for tiny files with huge claims: retrying does not help
        raise file_problem("too_much_memory") from error
    finally:
        source.raise_read_error()


def _decode(source: ByteSource, *, start_seconds: float, window_seconds: float, cautious: bool) -> Recording:
    """Try libsndfile, then FFmpeg. Raises as `decode` does, and MemoryError."""
    audio = cast(BinaryIO, source)
    if source.seek(0, os.SEEK_END) == 0:
        raise file_problem("empty")
    # Decoders would read pictures, to throw them away.
    tags_end = check_header_limits(audio, on_pictures=lambda offset: source.replace(offset, b"free"))
    if tags_end > _MAX_READ_TAGS_BYTES:
        source.skip_first_bytes(tags_end)
        tags_end = 0
    way = approach(source, tags_end=tags_end, start_seconds=start_seconds, window_seconds=window_seconds)
    recording = _decode_from(
        source,
        way,
        start_seconds=start_seconds - way.hidden_seconds,
        window_seconds=window_seconds,
        cautious=cautious,
    )
    if way.duration is None:
        return recording
    return replace(
        recording,
        start_seconds=recording.start_seconds + way.hidden_seconds,
        is_start_estimated=way.is_start_estimated,
        duration_seconds=way.duration.seconds,
        duration_accuracy=way.duration.accuracy,
    )


def _decode_from(
    source: ByteSource, way: Approach, *, start_seconds: float, window_seconds: float, cautious: bool
) -> Recording:
    audio = cast(BinaryIO, source)
    recording = None
    audio_format = _identify(source)
    if audio_format is not None and audio_format.libsndfile:
        try:
            window = Window(seconds=window_seconds, on_audio=source.audio_decoded)
            recording = _decode_with_libsndfile(source, start_seconds=start_seconds, window=window)
        except soundfile.LibsndfileError:
            source.raise_read_error()
    if recording is not None:
        is_complete = recording.seconds >= window_seconds or not source.has_unread_bytes
        if is_complete or cautious:
            return recording
    # libsndfile stops at the length a header declares or at a damaged frame, even if audio follows.
    # FFmpeg fails on tags of more than a megabyte, such as large pictures, so it gets the file without.
    source.skip_first_bytes(way.tags_end)
    if source.read(4) == b"fLaC":
        source.max_bytes_without_audio = _MAX_FLAC_BYTES_WITHOUT_AUDIO
    source.seek(0)
    try:
        ffmpeg_recording = decode_with_ffmpeg(
            audio,
            start_seconds=start_seconds,
            window_seconds=window_seconds,
            on_audio=source.audio_decoded,
            demuxer=Demuxer(
                name=audio_format.demuxers[0] if audio_format and not audio_format.is_probed else None,
                reads_index=way.needs_index,
            ),
        )
    except Exception as error:  # decoders raise anything on hostile bytes, even ZeroDivisionError
        if recording is not None:
            return recording
        if isinstance(error, (KammertonError, MemoryError, *_OUR_BUGS)):
            raise
        raise file_problem("undecodable") from error
    return (
        ffmpeg_recording if recording is None or ffmpeg_recording.seconds > recording.seconds else recording
    )


def _identify(source: ByteSource) -> AudioFormat | None:
    source.seek(0)
    audio_format = identify_format(source.read(SNIFF_BYTES))
    source.seek(0)
    return audio_format


class _SequentialFile(soundfile.SoundFile):  # type: ignore[misc] # ships no types
    """Claims that it can't seek. Otherwise soundfile seeks after each read, and FLAC is read twice."""

    def seekable(self) -> bool:
        return False


def _decode_with_libsndfile(source: ByteSource, *, start_seconds: float, window: Window) -> Recording | None:
    """Fill *window* through `librosa.stream`. Returns None if libsndfile finds no samples."""
    with _SequentialFile(source, "r") as file:
        check_format(channels=file.channels, sample_rate=file.samplerate)
        if start_seconds > 0 and not file.subtype.startswith(_EXACT_SUBTYPES):
            return None
        position = first_frame = int(start_seconds * file.samplerate)
        if position >= file.frames:
            return None
        block_frames = _BLOCK_SAMPLES // file.channels
        downmix = Downmix()
        try:
            for block in stream(
                file,
                block_length=1,
                frame_length=block_frames,
                hop_length=block_frames,
                mono=False,  # librosa's own downmix rejects a recording for one NaN
                offset=start_seconds,
                duration=window.seconds,
                fill_value=0.0,
            ):
                # If a file is shorter than its header says, librosa pads blocks: count what was read.
                decoded = file.tell() - position
                if decoded <= 0:
                    break
                window.add(
                    downmix.mix(block[..., :decoded], sample_rate=file.samplerate),
                    sample_rate=file.samplerate,
                )
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

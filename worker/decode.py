"""Any audio file object to mono samples, by libsndfile or FFmpeg. The only file that knows librosa.

Takes no path and no name, and so opens nothing but the bytes it is given.
"""

import io
import os
from typing import TYPE_CHECKING, BinaryIO, cast

import soundfile
from librosa import stream

from shared.errors import KammertonError, TooComplex, Undecodable
from worker.ffmpeg import decode_with_ffmpeg
from worker.header import refuse_hopeless
from worker.window import Recording, Window, check_format, mix_down

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["Recording", "decode"]

# What libsndfile is given. The two dozen studio formats it also knows are attack surface and no songs.
_LIBSNDFILE_STARTS = (b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b"fLaC", b"OggS", b"ID3", b"caff", b".snd")
_BLOCK_SAMPLES = 1 << 17  # of all channels together: half a megabyte
_UNREAD_BYTES = 1 << 16
_CONTAINERS = {"WAVEX": "wav", "RF64": "wav"}
_CODECS = {"MPEG_LAYER_III": "mp3", "MPEG_LAYER_II": "mp2", "MPEG_LAYER_I": "mp1"}
# libsndfile's "no idea" is 2**63 - 1 frames.
_MAX_DECLARED_FRAMES = 1 << 62


def decode(audio: BinaryIO, *, start_seconds: float, window_seconds: float) -> Recording:
    """Decode at most *window_seconds* of *audio*, from *start_seconds* on.

    Raises `Undecodable`, its code being `undecodable`, `no_audio`, `bad_samples`, `channels` or
    `sample_rate`; or `TooComplex`. What the file object itself raises comes through.
    """
    source = _Nameless(audio)
    try:
        return _decode(source, start_seconds=start_seconds, window_seconds=window_seconds)
    except KammertonError:
        raise
    except MemoryError as error:  # also PyAV's own, for tiny files that claim much: never a reason to retry
        raise TooComplex("The file takes too much memory to decode.") from error
    except Exception as error:  # decoders answer hostile bytes with anything, ZeroDivisionError included
        raise Undecodable("No decoder gets audio out of the file.") from error
    finally:
        source.raise_failure()


def _decode(source: "_Nameless", *, start_seconds: float, window_seconds: float) -> Recording:
    audio = cast(BinaryIO, source)
    if source.seek(0, os.SEEK_END) == 0:
        raise Undecodable("The file is empty.", code="no_audio")
    tags_end = refuse_hopeless(audio)
    recording = None
    if _libsndfile_reads(source):
        try:
            recording = _with_libsndfile(source, start_seconds=start_seconds, window_seconds=window_seconds)
        except soundfile.LibsndfileError:
            source.raise_failure()
    if recording is not None and (recording.seconds >= window_seconds or not source.has_more):
        return recording
    # libsndfile stops where a header ends the file, though there be more: chained Ogg, MP3 without a length.
    source.begin_at(tags_end)  # FFmpeg gives up on a tag of more than a megabyte, such as a large picture
    try:
        other = decode_with_ffmpeg(audio, start_seconds=start_seconds, window_seconds=window_seconds)
    except Exception:
        if recording is None:
            raise
        return recording
    return other if recording is None or other.seconds > recording.seconds else recording


def _libsndfile_reads(source: "_Nameless") -> bool:
    source.seek(0)
    start = source.read(4)
    source.seek(0)
    return start.startswith(_LIBSNDFILE_STARTS) or (start[:1] == b"\xff" and start[1:2] >= b"\xe0")


def _with_libsndfile(source: "_Nameless", *, start_seconds: float, window_seconds: float) -> Recording | None:
    """Decode through `librosa.stream`; None where libsndfile finds no samples."""
    with soundfile.SoundFile(source, "r") as file:
        check_format(channels=file.channels, sample_rate=file.samplerate)
        position = first_frame = int(start_seconds * file.samplerate)
        if position >= file.frames:
            return None
        window = Window(seconds=window_seconds)
        block_frames = _BLOCK_SAMPLES // file.channels
        for block in stream(
            file,
            block_length=1,
            frame_length=block_frames,
            hop_length=block_frames,
            mono=False,  # librosa's own downmix refuses a whole recording for one sample that is no number
            offset=start_seconds,
            duration=window_seconds,
            fill_value=0.0,
        ):
            # A file that holds less than its header says gives blocks of filling: count what it read.
            decoded = file.tell() - position
            if decoded <= 0:
                break
            window.add(mix_down(block[..., :decoded]), sample_rate=file.samplerate)
            position += decoded
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


class _Nameless(io.RawIOBase):
    """The bytes of a file object and nothing else of it: no name whose ending a decoder could believe.

    Remembers what the file object raised, since a C library that reads through us loses it.
    """

    def __init__(self, audio: BinaryIO) -> None:
        self._audio = audio
        self._start = 0
        self._size = audio.seek(0, os.SEEK_END)
        self._position = 0
        self._handed_out = 0
        self._failure: BaseException | None = None

    @property
    def has_more(self) -> bool:
        """True if a good part of the file has not been read yet."""
        return self._size - self._handed_out > _UNREAD_BYTES

    def begin_at(self, offset: int) -> None:
        """From here on be the file without its first *offset* bytes, if it has more."""
        if offset < self._size:
            self._start, self._size = offset, self._size - offset
        self._position = 0

    def raise_failure(self) -> None:
        """Raise what the file object raised, if it did."""
        if self._failure is not None:
            raise self._failure

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        # Only arithmetic: libsndfile seeks to the end and back for every length it asks for.
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError(22, "seek before the start")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        try:
            self._audio.seek(self._start + self._position)
            data = self._audio.read(len(view))
        except BaseException as error:
            self._failure = error
            return 0
        view[: len(data)] = data
        self._position += len(data)
        self._handed_out += len(data)
        return len(data)

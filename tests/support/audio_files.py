"""Small real files of every format, made in memory by the encoders of soundfile and PyAV."""

import io
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import av
import numpy as np
import soundfile
from av.audio.stream import AudioStream
from av.stream import Disposition
from numpy.typing import NDArray

TONE_HZ = 440.0

LIBSNDFILE: dict[str, tuple[str, str, int, dict[str, object]]] = {
    # kind: format, subtype, rate in Hz, further arguments
    "wav": ("WAV", "PCM_16", 44_100, {}),
    "wav-24": ("WAV", "PCM_24", 44_100, {}),
    "wav-float": ("WAV", "FLOAT", 44_100, {}),
    "aiff": ("AIFF", "PCM_16", 44_100, {}),
    "caf": ("CAF", "PCM_16", 44_100, {}),
    "au": ("AU", "PCM_16", 44_100, {}),
    "flac": ("FLAC", "PCM_16", 44_100, {}),
    "ogg-vorbis": ("OGG", "VORBIS", 44_100, {}),
    "ogg-opus": ("OGG", "OPUS", 48_000, {}),
    "mp3-cbr": ("MP3", "MPEG_LAYER_III", 44_100, {"bitrate_mode": "CONSTANT"}),
    "mp3-vbr": ("MP3", "MPEG_LAYER_III", 44_100, {"bitrate_mode": "VARIABLE", "compression_level": 0.5}),
}
_FFMPEG: dict[str, tuple[str, dict[str, str], str, int, str]] = {
    # kind: muxer, its options, encoder, rate in Hz, channel layout
    "mp3-no-xing": ("mp3", {"write_xing": "0"}, "libmp3lame", 44_100, "stereo"),
    "m4a": ("ipod", {}, "aac", 44_100, "stereo"),
    "m4a-faststart": ("ipod", {"movflags": "faststart"}, "aac", 44_100, "stereo"),
    "mp4-fragmented": (
        "mp4",
        {"movflags": "frag_keyframe+empty_moov", "frag_duration": "1000000"},
        "aac",
        44_100,
        "stereo",
    ),
    "alac": ("ipod", {}, "alac", 44_100, "stereo"),
    "aac": ("adts", {}, "aac", 44_100, "stereo"),
    "webm-opus": ("webm", {}, "libopus", 48_000, "stereo"),
    "mka": ("matroska", {}, "pcm_s16le", 44_100, "stereo"),
    "wma": ("asf", {}, "wmav2", 44_100, "stereo"),
    "amr": ("amr", {}, "libopencore_amrnb", 8_000, "mono"),
    "avi": ("avi", {}, "pcm_s16le", 44_100, "stereo"),
    "ac3": ("ac3", {}, "ac3", 44_100, "stereo"),
    "mpegts": ("mpegts", {}, "aac", 44_100, "stereo"),
    "wavpack": ("wv", {}, "wavpack", 44_100, "stereo"),
    "tta": ("tta", {}, "tta", 44_100, "stereo"),
    "wav-ima-adpcm": ("wav", {}, "adpcm_ima_wav", 44_100, "stereo"),
    "wav-ms-adpcm": ("wav", {}, "adpcm_ms", 44_100, "stereo"),
    "wav-g722": ("wav", {}, "g722", 16_000, "mono"),
    "flv-nellymoser": ("flv", {}, "nellymoser", 22_050, "mono"),
}
_MULTICHANNEL: dict[str, tuple[str, dict[str, str], str, int, str]] = {
    "aac-m4a": ("ipod", {}, "aac", 44_100, "7.1"),
    "aac-mka": ("matroska", {}, "aac", 44_100, "7.1"),
    "aac-ts": ("mpegts", {}, "aac", 44_100, "7.1"),
    "alac-m4a": ("ipod", {}, "alac", 44_100, "7.1"),
    "opus-webm": ("webm", {}, "libopus", 48_000, "7.1"),
    "pcm-avi": ("avi", {}, "pcm_s16le", 44_100, "7.1"),
    "pcm-caf": ("caf", {}, "pcm_s16be", 44_100, "7.1"),
    "pcm-mov": ("mov", {}, "pcm_s16le", 44_100, "7.1"),
    "tta": ("tta", {}, "tta", 44_100, "7.1"),
    "wavpack": ("wv", {}, "wavpack", 44_100, "7.1"),
}
MULTICHANNEL_KINDS = tuple(_MULTICHANNEL)
MULTICHANNEL_CODECS = {
    kind: encoder.removeprefix("lib") for kind, (_, _, encoder, _, _) in _MULTICHANNEL.items()
}

LIBSNDFILE_KINDS = (*LIBSNDFILE, "mp3-id3")
FFMPEG_KINDS = tuple(_FFMPEG)
KINDS = (*LIBSNDFILE_KINDS, *FFMPEG_KINDS)


@cache
def audio_file(kind: str, *, seconds: float = 1.0) -> bytes:
    """Return a file of one of `KINDS` that holds `TONE_HZ` for *seconds*."""
    if kind == "mp3-id3":
        return id3_tag([(b"TIT2", b"\0A song"), (b"APIC", bytes(1000))]) + audio_file(
            "mp3-vbr", seconds=seconds
        )
    if kind in LIBSNDFILE:
        container, codec, rate, options = LIBSNDFILE[kind]
        return soundfile_bytes(
            tone(seconds, rate=rate), rate=rate, container=container, codec=codec, **options
        )
    return _ffmpeg_bytes(kind, tone(seconds, rate=_FFMPEG[kind][3], channels=1), rate=_FFMPEG[kind][3])


def encoded(kind: str, sound: NDArray[np.float32], *, rate: int) -> bytes:
    """Encode (frames, 1) as one of `KINDS`; libsndfile's take only rates that they know."""
    if kind in LIBSNDFILE:
        container, codec, _, options = LIBSNDFILE[kind]
        return soundfile_bytes(
            np.repeat(sound, 2, axis=1), rate=rate, container=container, codec=codec, **options
        )
    return _ffmpeg_bytes(kind, sound, rate=rate)


def stored_rate(kind: str) -> int:
    """Return the sample rate in Hz of a file of one of `KINDS`."""
    return LIBSNDFILE[kind][2] if kind in LIBSNDFILE else _FFMPEG[kind][3]


def tone(
    seconds: float, *, rate: int = 44_100, channels: int = 2, hz: float = TONE_HZ
) -> NDArray[np.float32]:
    """Return a sine over a little noise, as soundfile takes it: (frames, channels)."""
    count = round(seconds * rate)
    noise = np.random.default_rng(1).standard_normal(count)
    mono = 0.4 * np.sin(2 * np.pi * hz * np.arange(count) / rate) + 0.002 * noise
    return np.repeat(mono[:, None], channels, axis=1).astype(np.float32)


def soundfile_bytes(
    samples: NDArray[np.float32], *, rate: int, container: str, codec: str, **options: object
) -> bytes:
    """Encode (frames, channels) with libsndfile."""
    file = io.BytesIO()
    channels = samples.shape[1]
    with soundfile.SoundFile(file, "w", rate, channels, format=container, subtype=codec, **options) as out:
        for start in range(0, len(samples), 4096):  # libsndfile's Vorbis writer overruns its stack on more
            out.write(samples[start : start + 4096])
    return file.getvalue()


def wav(samples: NDArray[np.float32] | None = None, *, rate: int = 44_100, codec: str = "PCM_16") -> bytes:
    """Return a WAV of *samples*, by default a second of `TONE_HZ`."""
    return soundfile_bytes(
        tone(1.0, rate=rate) if samples is None else samples, rate=rate, container="WAV", codec=codec
    )


def id3_tag(frames: list[tuple[bytes, bytes]]) -> bytes:
    """Return an ID3v2.3 tag of (id, body) frames."""
    body = b"".join(name + len(data).to_bytes(4) + b"\0\0" + data for name, data in frames)
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + size + body


def two_tracks(
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    *,
    default: int | None,
    tags: dict[str, str] | None = None,
) -> bytes:
    """Return a Matroska file of two AAC tracks of (frames, 1) at 44.1 kHz.

    *default* counts from 0; with None, no track is the default. The first track gets *tags*.
    """
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        tracks = []
        for number in range(2):
            track = container.add_stream("aac", rate=44_100)
            assert isinstance(track, AudioStream)
            track.layout = "mono"
            track.disposition = Disposition.default if number == default else Disposition(0)
            tracks.append(track)
        tracks[0].metadata.update(tags or {})
        for track, sound in zip(tracks, (first, second), strict=True):
            frame = av.AudioFrame.from_ndarray(sound.reshape(1, -1), format="fltp", layout="mono")
            frame.sample_rate = 44_100
            fitting = av.AudioResampler(
                format="fltp", layout="mono", rate=44_100, frame_size=track.frame_size
            )
            for piece in (*fitting.resample(frame), *fitting.resample(None)):
                container.mux(track.encode(piece))
            container.mux(track.encode(None))
    return file.getvalue()


def video() -> bytes:
    """Return an MP4 of a second of moving picture, with `TONE_HZ` as its sound."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        picture = container.add_stream("mpeg4", rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
        sound = container.add_stream("aac", rate=44_100)
        sound.layout = "mono"
        for _ in range(25):
            container.mux(picture.encode(av.VideoFrame(64, 64, "yuv420p")))
        frame = av.AudioFrame.from_ndarray(tone(1.0, channels=1).reshape(1, -1), format="fltp", layout="mono")
        frame.sample_rate = 44_100
        fitting = av.AudioResampler(format="fltp", layout="mono", rate=44_100, frame_size=sound.frame_size)
        for piece in (*fitting.resample(frame), *fitting.resample(None)):
            container.mux(sound.encode(piece))
        container.mux(picture.encode(None))
        container.mux(sound.encode(None))
    return file.getvalue()


def multichannel_file(kind: str, layout: str, *, seconds: float = 1.0) -> bytes:
    """Return a file of one of `MULTICHANNEL_KINDS` with `TONE_HZ` in one channel of *layout*."""
    return _ffmpeg_bytes(kind, tone(seconds, channels=1), rate=44_100, layout=layout)


def _ffmpeg_bytes(kind: str, sound: NDArray[np.float32], *, rate: int, layout: str | None = None) -> bytes:
    muxer, options, encoder, its_rate, usual_layout = (_FFMPEG | _MULTICHANNEL)[kind]
    layout = layout or usual_layout
    # A real file, because FFmpeg moves an index to the front by reading what it wrote.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "audio")
        with av.open(str(path), "w", format=muxer, options=options) as container:
            stream = container.add_stream(encoder, rate=its_rate)
            assert isinstance(stream, AudioStream)
            stream.layout = layout
            if encoder == "wmav2":
                stream.bit_rate = 128_000  # its default is one that it refuses
            frame = av.AudioFrame.from_ndarray(sound.reshape(1, -1), format="flt", layout="mono")
            frame.sample_rate = rate
            fitting = av.AudioResampler(
                format=stream.format.name, layout=layout, rate=its_rate, frame_size=stream.frame_size or 1024
            )
            for piece in (*fitting.resample(frame), *fitting.resample(None)):
                container.mux(stream.encode(piece))
            container.mux(stream.encode(None))
        return path.read_bytes()


def damaged_copies(content: bytes, *, count: int) -> Iterator[bytes]:
    """Copies of a file with six random bytes at random places. The same for the same content."""
    random = np.random.default_rng(2)
    for _ in range(count):
        damaged = np.frombuffer(content, np.uint8).copy()
        places = random.integers(0, len(damaged), 6)
        damaged[places] = random.integers(0, 256, 6)
        yield damaged.tobytes()

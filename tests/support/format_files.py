"""One small file of `TONE_HZ` for each entry of `shared.domain.audio.formats`, beyond those of `audio_files`.

What no encoder of our wheels writes is made by hand here, or lies in data/audio. Those are tones of ours,
encoded by FFmpeg 5.1 (DTS, GSM, MLP, Speex, TrueHD), by LAME (`lame --freeformat -b 56 -m m`), and by
`mpcenc --radio`.
"""

import struct
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from tests.support.audio_files import TONE_HZ, audio_file, soundfile_bytes, tone

_DATA = Path(__file__).parent / "data" / "audio"
_DSD_RATE = 2_822_400


def _fixture(name: str) -> bytes:
    return (_DATA / name).read_bytes()


def _libsndfile(container: str, codec: str = "PCM_16", *, channels: int = 2, **options: object) -> bytes:
    return soundfile_bytes(
        tone(1.0, channels=channels), rate=44_100, container=container, codec=codec, **options
    )


def muxed(
    muxer: str, encoder: str, *, rate: int = 48_000, layout: str = "stereo", picture: str = ""
) -> bytes:
    """Return a second of `TONE_HZ` that FFmpeg wrote, with a picture encoded by *picture* if it is given."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "audio")
        with av.open(str(path), "w", format=muxer) as container:
            video = container.add_stream(picture, rate=25) if picture else None
            if isinstance(video, VideoStream):
                video.width, video.height, video.pix_fmt = 720, 576, "yuv420p"
            sound = container.add_stream(encoder, rate=rate)
            assert isinstance(sound, AudioStream)
            sound.layout = layout
            frame = av.AudioFrame.from_ndarray(
                tone(1.0, rate=rate, channels=1).reshape(1, -1), format="flt", layout="mono"
            )
            frame.sample_rate = rate
            fitting = av.AudioResampler(
                format=sound.format.name, layout=layout, rate=rate, frame_size=sound.frame_size or rate // 25
            )
            pieces = [*fitting.resample(frame), *fitting.resample(None)]
            for number in range(25):
                if isinstance(video, VideoStream):
                    image = av.VideoFrame(720, 576, "yuv420p")
                    image.pts = number
                    container.mux(video.encode(image))
                for piece in pieces[number * len(pieces) // 25 : (number + 1) * len(pieces) // 25]:
                    container.mux(sound.encode(piece))
            if isinstance(video, VideoStream):
                container.mux(video.encode(None))
            container.mux(sound.encode(None))
        return path.read_bytes()


def flac_frames() -> bytes:
    """Return a FLAC stream without the header of the file."""
    flac = audio_file("flac")
    at, is_last = 4, False
    while not is_last:
        is_last = flac[at] >= 0x80
        at += 4 + int.from_bytes(flac[at + 1 : at + 4])
    return flac[at:]


def radio_capture(sound: bytes, *, interval: int = 8192, status: bytes = b"ICY 200 OK") -> bytes:
    """Return *sound* as a SHOUTcast server sends it, with a title in every other block of metadata."""
    header = status + b"\r\nicy-name: radio\r\nicy-metaint:%d\r\ncontent-type: audio/mpeg\r\n\r\n" % interval
    title = b"StreamTitle='A song';".ljust(32, b"\0")
    blocks = (b"\x02" + title, b"\0")
    runs = [sound[at : at + interval] for at in range(0, len(sound), interval)]
    return header + b"".join(run + blocks[number % 2] for number, run in enumerate(runs[:-1])) + runs[-1]


@cache
def _dsd_bits(seconds: float = 0.6) -> bytes:
    """Return a second-order sigma-delta modulation of `TONE_HZ`, most significant bit first."""
    count = int(seconds * _DSD_RATE) // 32 * 32
    wanted = (0.4 * np.sin(2 * np.pi * TONE_HZ * np.arange(count) / _DSD_RATE)).tolist()
    first = second = 0.0
    bits = bytearray(count)
    for at, value in enumerate(wanted):
        out = 1.0 if second >= 0 else -1.0
        first += value - out
        second += first - 2 * out
        bits[at] = out > 0
    return np.packbits(np.frombuffer(bytes(bits), np.uint8)).tobytes()


def dsdiff() -> bytes:
    """Return a DSDIFF file of one channel of DSD64."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return name + struct.pack(">Q", len(body)) + body + b"\0" * (len(body) % 2)

    properties = (
        b"SND "
        + chunk(b"FS  ", struct.pack(">I", _DSD_RATE))
        + chunk(b"CHNL", struct.pack(">H", 1) + b"C   ")
        + chunk(b"CMPR", b"DSD \x0enot compressed\0")
    )
    body = b"DSD " + chunk(b"FVER", b"\1\5\0\0") + chunk(b"PROP", properties) + chunk(b"DSD ", _dsd_bits())
    return b"FRM8" + struct.pack(">Q", len(body)) + body


def dsf() -> bytes:
    """Return a DSF file of one channel of DSD64."""
    data = np.packbits(np.unpackbits(np.frombuffer(_dsd_bits(), np.uint8)), bitorder="little").tobytes()
    samples, data = 8 * len(data), data + bytes(-len(data) % 4096)
    head = b"DSD " + struct.pack("<QQQ", 28, 28 + 52 + 12 + len(data), 0)
    form = b"fmt " + struct.pack("<QIIIIIIQII", 52, 1, 0, 1, 1, _DSD_RATE, 1, samples, 4096, 0)
    return head + form + b"data" + struct.pack("<Q", 12 + len(data)) + data


def openmg() -> bytes:
    """Return 16-bit samples in the container of Sony's MiniDisc programs, which has always two channels."""
    header = bytearray(96)
    header[:8] = b"EA3\x01\x00\x60\xff\xff"
    header[32] = 4  # linear PCM
    return bytes(header) + (tone(1.0) * 32_767).astype(">i2").tobytes()


def shorten() -> bytes:
    """Return a Shorten file, version 2: a WAV header verbatim, then Rice-coded first differences."""
    samples = (tone(1.0, channels=1)[:, 0] * 32_767).astype(int).tolist()
    bits: list[str] = []

    def unsigned(value: int, low: int) -> None:
        bits.append("0" * (value >> low) + "1" + (f"{value & (1 << low) - 1:0{low}b}" if low else ""))

    def number(value: int) -> None:
        unsigned(value.bit_length(), 2)
        unsigned(value, value.bit_length())

    for value in (5, 1, 256, 0, 0, 0):  # 16 bits little-endian, channels, block, LPC, means, skipped bytes
        number(value)
    wav = b"RIFF" + struct.pack("<I", 36 + 2 * len(samples)) + b"WAVEfmt "
    wav += (
        struct.pack("<IHHIIHH", 16, 1, 1, 44_100, 88_200, 2, 16)
        + b"data"
        + struct.pack("<I", 2 * len(samples))
    )
    unsigned(9, 2)  # verbatim
    unsigned(len(wav), 5)
    for byte in wav:
        unsigned(byte, 8)
    last, low = 0, 10
    for at in range(0, len(samples) // 256 * 256, 256):
        unsigned(1, 2)  # first differences
        unsigned(low - 1, 3)
        for sample in samples[at : at + 256]:
            change, last = sample - last, sample
            unsigned(2 * change if change >= 0 else -2 * change - 1, low)
    unsigned(4, 2)  # the end
    text = "".join(bits)
    text += "0" * (-len(text) % 32)
    return b"ajkg\x02" + int(text, 2).to_bytes(len(text) // 8)


FORMAT_FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    # kind: its entry in FORMATS, how to make it
    "rf64": ("WAV, RF64, BWF", partial(_libsndfile, "RF64")),
    "w64": ("Sony Wave64", partial(_libsndfile, "W64")),
    "8svx": ("AIFF, 8SVX, MAUD", partial(_libsndfile, "SVX", "PCM_S8", channels=1)),
    "au-little": ("AU", partial(_libsndfile, "AU", endian="LITTLE")),
    "flac-frames": ("FLAC", flac_frames),
    "speex": ("Ogg: Vorbis, Opus, Speex, FLAC", partial(_fixture, "tone.spx")),
    "mp3-free-format": ("MP3, AAC (ADTS)", partial(_fixture, "free-format.mp3")),
    "mp3-after-zeros": ("MP3, AAC (ADTS)", lambda: bytes(6000) + audio_file("mp3-no-xing")),
    "mp3-after-sniffed-zeros": ("MP3, AAC (ADTS)", lambda: bytes(4093) + audio_file("mp3-no-xing")),
    "mp3-after-megabytes": ("MP3, AAC (ADTS)", lambda: bytes(8_000_000) + audio_file("mp3-vbr")),
    "mp3-after-few-zeros": ("MP3, AAC (ADTS)", lambda: bytes(4000) + audio_file("mp3-no-xing")),
    "mp3-after-ape-tag": (
        "MP3, AAC (ADTS)",
        lambda: b"APETAGEX" + struct.pack("<4I8x", 2000, 32, 0, 0xA0000000) + audio_file("mp3-no-xing"),
    ),
    "mp3-radio": ("MP3, AAC (ADTS)", lambda: radio_capture(audio_file("mp3-no-xing"))),
    "aac-radio": (
        "MP3, AAC (ADTS)",
        lambda: radio_capture(audio_file("aac"), interval=1000, status=b"HTTP/1.1 200 OK"),
    ),
    "loas": ("AAC (LOAS)", partial(muxed, "latm", "aac")),
    "mov": ("MP4, M4A, QuickTime, 3GP", partial(muxed, "mov", "pcm_s16le")),
    "3gp": (
        "MP4, M4A, QuickTime, 3GP",
        partial(muxed, "3gp", "libopencore_amrnb", rate=8_000, layout="mono"),
    ),
    "mpeg": ("MPEG program stream", partial(muxed, "mpeg", "mp2")),
    "m2ts": ("MPEG transport stream", partial(muxed, "mpegts", "ac3")),
    "mxf": ("MXF", partial(muxed, "mxf", "pcm_s16le", picture="mpeg2video")),
    "dv": ("DV", partial(muxed, "dv", "pcm_s16le", picture="dvvideo")),
    "realmedia": ("RealMedia", partial(muxed, "rm", "real_144", rate=8_000, layout="mono")),
    "realmedia-ac3": ("RealMedia", partial(muxed, "rm", "ac3")),
    "gsm": ("GSM 06.10", partial(_fixture, "tone.gsm")),
    "eac3": ("AC-3, E-AC-3", partial(muxed, "eac3", "eac3")),
    "dts": ("DTS", partial(_fixture, "tone.dts")),
    "truehd": ("Dolby TrueHD", partial(_fixture, "tone.thd")),
    "mlp": ("MLP", partial(_fixture, "tone.mlp")),
    "musepack": ("Musepack", partial(_fixture, "tone.mpc")),
    "shorten": ("Shorten", shorten),
    "dsf": ("DSF", dsf),
    "dsdiff": ("DSDIFF", dsdiff),
    "openmg": ("Sony OpenMG", openmg),
    "voc": ("Creative Voice", partial(_libsndfile, "VOC")),
    "nist": ("NIST SPHERE", partial(_libsndfile, "NIST")),
    "ircam": ("IRCAM", partial(_libsndfile, "IRCAM")),
    "ircam-big": ("IRCAM", partial(_libsndfile, "IRCAM", endian="BIG")),
    "sox": ("SoX", partial(muxed, "sox", "pcm_s32le")),
    "avr": ("AVR", partial(_libsndfile, "AVR")),
}
WITHOUT_FILE = {"Monkey’s Audio", "TAK"}
"""No encoder of these may be used freely."""


@cache
def format_file(kind: str) -> bytes:
    """Return the file of one of `FORMAT_FILES`."""
    return FORMAT_FILES[kind][1]()

"""Two-hour files made cheaply: the packets of a short recording, repeated in an order that never recurs.

What each second sounds like is known, so that the place of a window can be found by cross-correlation.
"""

import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import scipy.signal
import soundfile
from av.audio.stream import AudioStream
from numpy.typing import NDArray

SECONDS = 7_200
RATE = 2_000
"""Hz, of the sound that windows are compared with."""
_SECTION_SECONDS = 2.0
_SECTIONS = 24
GSM_FRAME_BYTES, _DTS_FRAME_BYTES = 33, 256


@dataclass(frozen=True, slots=True, kw_only=True)
class LongFile:
    """A file and what it sounds like."""

    content: bytes
    section_seconds: float
    order: NDArray[np.int64]
    """Which section of `unit_sound` is heard, one after the other."""

    @property
    def seconds(self) -> float:
        """Duration of the whole file."""
        return self.section_seconds * len(self.order)

    def sound(self, start: float, seconds: float) -> NDArray[np.float64]:
        """Return a part of the sound at `RATE` Hz."""
        times = start + np.arange(int(seconds * RATE)) / RATE
        sections, inside = np.divmod(times, self.section_seconds)
        sections = np.clip(sections.astype(int), 0, len(self.order) - 1)
        unit = unit_sound()
        places = (self.order[sections] * self.section_seconds + inside) * RATE
        return np.asarray(np.interp(places, np.arange(len(unit)), unit))

    def offset_of(
        self, samples: NDArray[np.float32], sample_rate: int, *, start: float, within: float = 0.25
    ) -> float:
        """Seconds from *start* to the place of *samples*, at most *within*. NaN if they are not there."""
        seconds = min(6.0, len(samples) / sample_rate - 0.5)
        times = np.arange(int(seconds * RATE)) * sample_rate / RATE
        heard = np.interp(times, np.arange(len(samples)), samples)[RATE // 4 :]
        around = self.sound(start + 0.25 - within, len(heard) / RATE + 2 * within)
        likeness = np.abs(scipy.signal.fftconvolve(around, heard[::-1], mode="valid"))
        best = int(np.argmax(likeness))
        scale = np.linalg.norm(heard) * np.linalg.norm(around[best : best + len(heard)])
        return best / RATE - within if likeness[best] > 0.6 * scale else float("nan")


@cache
def unit_sound() -> NDArray[np.float64]:
    """Return noise at `RATE` Hz that looks different everywhere, mostly below 200 Hz."""
    noise = np.random.default_rng(3).standard_normal(int(_SECTIONS * (_SECTION_SECONDS + 0.5) * RATE))
    sound = scipy.signal.lfilter([1.0, -1.0], [1.0, -1.6, 0.66], noise)
    return np.asarray(0.1 * sound / np.std(sound))


def _stored_sound(rate: int) -> NDArray[np.float32]:
    sound = unit_sound()
    return np.interp(np.arange(len(sound) * rate // RATE) * RATE / rate, np.arange(len(sound)), sound).astype(
        np.float32
    )


@dataclass(frozen=True, slots=True)
class Unit:
    """A short recording as packets of one length."""

    packets: list[bytes]
    packet_seconds: Fraction
    file: bytes

    @property
    def per_section(self) -> int:
        """Packets of a section."""
        return int(Fraction(_SECTION_SECONDS) / self.packet_seconds)

    @property
    def section_seconds(self) -> float:
        """Duration of a section."""
        return float(self.per_section * self.packet_seconds)

    def section(self, number: int) -> list[bytes]:
        """Return the packets of a section."""
        return self.packets[number * self.per_section : (number + 1) * self.per_section]


@cache
def unit(encoder: str, muxer: str, *, rate: int, kbits: int, option: str = "") -> Unit:
    """Encode `unit_sound`. *option* is an encoder's, `name=value`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "unit")
        options = dict([option.split("=")]) if option else {}
        with av.open(str(path), "w", format=muxer) as container:
            stream = container.add_stream(encoder, rate=rate, options=options)
            assert isinstance(stream, AudioStream)
            stream.layout = "mono"
            stream.bit_rate = kbits * 1000
            frame = av.AudioFrame.from_ndarray(_stored_sound(rate)[None], format="flt", layout="mono")
            frame.sample_rate = rate
            fitting = av.AudioResampler(
                format=stream.format.name, layout="mono", rate=rate, frame_size=stream.frame_size or 1024
            )
            for piece in (*fitting.resample(frame), *fitting.resample(None)):
                container.mux(stream.encode(piece))
            container.mux(stream.encode(None))
        content = path.read_bytes()
    with av.open(io.BytesIO(content), "r") as source:
        packets = [packet for packet in source.demux(audio=0) if packet.size]
        typical = packets[2]
        assert typical.duration
        assert typical.time_base
        return Unit([bytes(packet) for packet in packets], typical.duration * typical.time_base, content)


def gsm_unit() -> Unit:
    """Return `unit_sound` as raw GSM, encoded by libsndfile."""
    file = io.BytesIO()
    soundfile.write(file, _stored_sound(8_000), 8_000, format="RAW", subtype="GSM610")
    frames = file.getvalue()
    packets = [frames[at : at + GSM_FRAME_BYTES] for at in range(0, len(frames), GSM_FRAME_BYTES)]
    return Unit(packets, Fraction(20, 1000), frames)


def dts_unit() -> Unit:
    """Return the beginning of `unit_sound` in DTS, encoded by FFmpeg 5.1: no wheel has the encoder."""
    content = (Path(__file__).parent / "data" / "audio" / "noise.dts").read_bytes()
    packets = [content[at : at + _DTS_FRAME_BYTES] for at in range(0, len(content), _DTS_FRAME_BYTES)]
    return Unit(packets, Fraction(512, 8_000), content)


def order_of_sections(count: int, sections: int = _SECTIONS) -> NDArray[np.int64]:
    """Return *count* numbers of sections."""
    return np.random.default_rng(7).integers(0, sections, count)


def joined(
    of: Unit, *, seconds: int = SECONDS, head: Callable[[int, int], bytes] = lambda frames, size: b""
) -> LongFile:
    """Return packets that need no container, after what *head* makes of their count and total size."""
    count = min(_SECTIONS, len(of.packets) // of.per_section)
    sections = [b"".join(of.section(number)) for number in range(count)]
    order = order_of_sections(round(seconds / of.section_seconds), count)
    body = b"".join(sections[number] for number in order)
    start = head(len(order) * of.per_section, len(body))
    return LongFile(content=start + body, section_seconds=of.section_seconds, order=order)


def muxed(of: Unit, muxer: str, **options: str) -> LongFile:
    """Return packets in a container that FFmpeg writes."""
    order = order_of_sections(round(SECONDS / of.section_seconds))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "long")
        with (
            av.open(io.BytesIO(of.file), "r") as source,
            av.open(str(path), "w", format=muxer, options=options) as target,
        ):
            template = source.streams.audio[0]
            stream = target.add_stream_from_template(template)
            rate = template.codec_context.sample_rate
            ticks, time = round(of.packet_seconds * rate), 0
            for content in (content for number in order for content in of.section(int(number))):
                packet = av.Packet(content)
                packet.stream, packet.time_base = stream, Fraction(1, rate)
                packet.pts = packet.dts = time
                packet.duration = ticks
                packet.is_keyframe = True
                target.mux_one(packet)
                time += ticks
        return LongFile(content=path.read_bytes(), section_seconds=of.section_seconds, order=order)


def stored(container: str, codec: str, *, rate: int = 8_000) -> LongFile:
    """Return a file that libsndfile writes."""
    length = int(_SECTION_SECONDS * rate)
    sections = (0.7 * _stored_sound(rate))[: _SECTIONS * length].reshape(_SECTIONS, length)
    order = order_of_sections(round(SECONDS / _SECTION_SECONDS))
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate, 1, format=container, subtype=codec) as out:
        for part in np.array_split(order, 100):
            out.write(sections[part].reshape(-1))
    return LongFile(content=file.getvalue(), section_seconds=_SECTION_SECONDS, order=order)

"""Synthetic recordings with an exactly known tuning. Deterministic."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
RATE = 22050
MAJOR = (0, 2, 4, 5, 7, 9, 11, 12)
"""Semitones above C."""


def sine(hz: float, *, seconds: float = 10.0, rate: int = RATE, level: float = 0.3) -> Samples:
    """A single sine."""
    return harmonic(hz, seconds=seconds, rate=rate, level=level, partials=1)


def harmonic(
    hz: float, *, seconds: float = 10.0, rate: int = RATE, level: float = 0.3, partials: int = 10
) -> Samples:
    """A steady tone; harmonic h has the amplitude 1/h."""
    turns = 2 * math.pi * hz * np.arange(int(seconds * rate)) / rate
    orders = [h for h in range(1, partials + 1) if h * hz < rate / 2]
    return np.asarray(level * sum(np.sin(h * turns) / h for h in orders), np.float32)


def melody(
    a4_hz: float,
    *,
    seconds: float = 20.0,
    rate: int = RATE,
    notes: Sequence[float] | None = None,
    vibrato_cents: float = 0.0,
    note_seconds: float = 0.5,
    stretch: float = 0.0,
    bend: Callable[[float], float] = lambda _: 0.0,
) -> Samples:
    """A melody of `notes` (cents above the C below A4) with seven harmonics each.

    `stretch` is the inharmonicity B of a stiff string; `bend` maps a time in seconds to cents to add.
    """
    random = np.random.default_rng(7)
    line = notes if notes is not None else [100.0 * random.choice(MAJOR) for _ in range(400)]
    size = int(note_seconds * rate)
    out = np.zeros(int(seconds * rate))
    time = np.arange(size) / rate
    swell = np.minimum(1.0, np.minimum(time / 0.03, (note_seconds - time) / 0.05))
    for index in range(len(out) // size):
        cents = line[index % len(line)] - 900.0 + bend(index * note_seconds)
        phase = random.uniform(0, 2 * math.pi)
        wobble = vibrato_cents * np.sin(2 * math.pi * 5.7 * time + phase)
        turns = 2 * math.pi * np.cumsum(a4_hz * 2 ** ((cents + wobble) / 1200)) / rate
        tone = sum(np.sin(h * math.sqrt(1 + stretch * h * h) * turns) / h for h in range(1, 8))
        out[index * size : (index + 1) * size] = 0.1 * swell * tone
    return out.astype(np.float32)


def sung(
    a4_hz: float, *, seed: int, vibrato_cents: float, note_seconds: tuple[float, float], seconds: float = 30.0
) -> Samples:
    """A solo voice with vibrato, vowels and glides between notes of random length in a major scale."""
    random = np.random.default_rng(seed)
    cents = np.zeros(int(seconds * RATE))
    level = np.zeros(cents.size)
    start, note, before = 0, 64, 0.0
    while start < cents.size:
        time = np.arange(min(int(random.uniform(*note_seconds) * RATE), cents.size - start)) / RATE
        note = int(np.clip(note + random.choice([-4, -3, -2, -1, 1, 2, 3, 4]), 55, 76))
        note += note % 12 not in MAJOR
        depth = vibrato_cents * random.uniform(0.8, 1.2) * np.clip((time - 0.05) / 0.15, 0.0, 1.0)
        wobble = depth * np.sin(2 * math.pi * random.uniform(5.0, 6.5) * time + random.uniform(0, 6.28))
        pitch = 100.0 * (note - 69) + random.normal(0.0, 3.0)
        glide = (before - pitch) * np.exp(-time / 0.04) if start else 0.0
        cents[start : start + time.size] = pitch + wobble + glide
        swell = np.minimum(time / 0.04, (time.size / RATE - time) / 0.05)
        level[start : start + time.size] = random.uniform(0.5, 1.0) * np.clip(swell, 0.0, 1.0)
        start, before = start + time.size, pitch
    hz = a4_hz * 2 ** (cents / 1200)
    turns = 2 * math.pi * np.cumsum(hz) / RATE
    vowel = ((650.0, 90.0), (1100.0, 110.0), (2500.0, 160.0))
    tone = sum(
        (0.05 + sum(1 / (1 + (2 * (h * hz - peak) / width) ** 2) for peak, width in vowel))
        * np.sin(h * turns)
        / h**0.8
        for h in range(1, 12)
    )
    return np.asarray(0.1 * level * tone + 1e-4 * random.standard_normal(cents.size), np.float32)


def struck(a4_hz: float, *, sharp_cents: float, seconds: float = 20.0, rate: int = RATE) -> Samples:
    """A melody of struck notes that start `sharp_cents` sharp and settle within a quarter of a second."""
    random = np.random.default_rng(11)
    size = int(0.8 * rate)
    time = np.arange(size) / rate
    glide = sharp_cents * np.maximum(0.0, 1.0 - time / 0.25)
    fade = np.minimum(1.0, time / 0.005) * np.exp(-2.0 * time) * np.minimum(1.0, (0.8 - time) / 0.02)
    out = []
    for _ in range(int(seconds / 0.8)):
        hz = a4_hz * 2 ** (random.choice(MAJOR) / 12 - 0.75) * 2 ** (glide / 1200)
        turns = 2 * math.pi * np.cumsum(hz) / rate
        out.append(0.2 * fade * sum(np.sin(h * turns) / h for h in range(1, 7)))
    return np.concatenate(out).astype(np.float32)


def siren(
    low_hz: float, high_hz: float, *, per_second: float, seconds: float = 20.0, rate: int = RATE
) -> Samples:
    """A sine that glides between two pitches."""
    time = np.arange(int(seconds * rate)) / rate
    hz = low_hz + (high_hz - low_hz) * (0.5 + 0.5 * np.sin(2 * math.pi * per_second * time))
    return np.asarray(0.3 * np.sin(2 * math.pi * np.cumsum(hz) / rate), np.float32)


def chorus(a4_hz: float, *, seconds: float = 20.0, rate: int = RATE, vibrato_cents: float = 0.0) -> Samples:
    """Two voices, the lower in longer notes."""
    upper = melody(a4_hz, seconds=seconds, rate=rate, vibrato_cents=vibrato_cents)
    lower = melody(a4_hz / 2, seconds=seconds, rate=rate, vibrato_cents=vibrato_cents, note_seconds=1.0)
    return upper + lower[: upper.size]


def noise(*, seconds: float = 20.0, rate: int = RATE, level: float = 0.1) -> Samples:
    """White noise."""
    random = np.random.default_rng(3)
    return (level * random.standard_normal(int(seconds * rate))).astype(np.float32)


def drums(*, seconds: float = 20.0, rate: int = RATE) -> Samples:
    """Drums: decaying inharmonic modes and bursts of noise, four times a second."""
    random = np.random.default_rng(5)
    out = np.zeros(int(seconds * rate))
    time = np.arange(int(0.3 * rate)) / rate
    for start in np.arange(0.0, seconds - 0.4, 0.25):
        base = random.uniform(60, 400)
        hit = sum(
            np.exp(-time * 12 * k) * np.sin(2 * math.pi * base * k * time) for k in (1.0, 1.59, 2.14, 2.3)
        )
        hit += random.standard_normal(time.size) * np.exp(-time * 30)
        at = int(start * rate)
        out[at : at + time.size] += 0.1 * hit
    return out.astype(np.float32)


def tom(*, seed: int, seconds: float = 15.0, rate: int = RATE) -> Samples:
    """A repeated drum: five inharmonic modes and the noise of the stick."""
    random = np.random.default_rng(seed)
    base = random.uniform(80, 260)
    out = np.zeros(int(seconds * rate))
    time = np.arange(int(0.4 * rate)) / rate
    for start in np.arange(0.0, seconds - 0.5, random.uniform(0.2, 0.6)):
        hit = sum(
            np.exp(-time * 10 * k) * np.sin(2 * math.pi * base * k * time) for k in (1, 1.59, 2.14, 2.3, 2.65)
        )
        hit += 0.7 * random.standard_normal(time.size) * np.exp(-time * 25)
        at = int(start * rate)
        out[at : at + time.size] += 0.1 * hit
    return out.astype(np.float32)


def clang(*, seconds: float = 40.0, rate: int = RATE, per_second: int = 24) -> Samples:
    """Random strokes on metal: four modes at random frequencies that sound for a quarter of a second."""
    random = np.random.default_rng(1)
    out = np.zeros(int(seconds * rate))
    time = np.arange(int(0.5 * rate)) / rate
    for _ in range(int(per_second * seconds)):
        at = int(random.integers(0, out.size - time.size))
        out[at : at + time.size] += sum(
            np.exp(-time * random.uniform(4, 20)) * np.sin(2 * math.pi * random.uniform(120, 3000) * time)
            for _ in range(4)
        )
    return (0.1 * out).astype(np.float32)


def chirps(*, per_second: float, seconds: float = 20.0, rate: int = RATE) -> Samples:
    """Sines that glide from 2 to 3.5 kHz repeatedly, with gaps."""
    time = np.arange(int(seconds * rate)) / rate
    hz = 2000 + 1500 * (time * per_second % 1)
    return np.asarray(0.3 * np.sin(2 * math.pi * np.cumsum(hz) / rate) * (np.sin(2.5 * time) > 0), np.float32)


def speech(*, seconds: float = 20.0, rate: int = RATE) -> Samples:
    """A gliding voice: harmonics of 90 to 220 Hz, in syllables."""
    random = np.random.default_rng(11)
    time = np.arange(int(seconds * rate)) / rate
    knots = random.uniform(90, 220, int(seconds * 5) + 2)
    hz = np.interp(time, np.arange(knots.size) / 5, knots)
    turns = 2 * math.pi * np.cumsum(hz) / rate
    syllables = np.clip(np.sin(2 * math.pi * 4 * time), 0, 1)
    tone = sum(np.sin(h * turns) / h for h in range(1, 20))
    return np.asarray(0.1 * syllables * tone, np.float32)


def sweep(*, seconds: float = 20.0, rate: int = RATE) -> Samples:
    """A sine that rises from 100 Hz by an octave every five seconds."""
    time = np.arange(int(seconds * rate)) / rate
    turns = 2 * math.pi * np.cumsum(100 * 2 ** (time / 5)) / rate
    return np.asarray(0.3 * np.sin(turns), np.float32)


def scale_of(steps: int, *, count: int = 80) -> list[float]:
    """Random notes of `steps` equal divisions of the octave, in cents."""
    random = np.random.default_rng(steps)
    return [1200.0 * int(random.integers(0, steps)) / steps for _ in range(count)]


TEMPERAMENTS: dict[str, tuple[float, ...]] = {
    "just": (
        0, 111.731, 203.91, 315.641, 386.314, 498.045, 590.224, 701.955, 813.686, 884.359, 1017.596, 1088.269,
    ),
    "pythagorean": (
        0, 113.685, 203.91, 294.135, 407.82, 498.045, 611.73, 701.955, 815.64, 905.865, 996.09, 1109.775,
    ),
    "quarter_comma_meantone": (
        0, 76.049, 193.157, 310.265, 386.314, 503.422, 579.471, 696.578, 772.627, 889.735, 1006.843, 1082.892,
    ),
    "werckmeister_3": (
        0, 90.225, 192.18, 294.135, 390.225, 498.045, 588.27, 696.09, 792.18, 888.27, 996.09, 1092.18,
    ),
    "kirnberger_3": (
        0, 90.225, 193.157, 294.135, 386.314, 498.045, 590.224, 696.578, 792.18, 889.735, 996.09, 1088.269,
    ),
    "vallotti": (
        0, 94.135, 196.09, 298.045, 392.18, 501.955, 592.18, 698.045, 796.09, 894.135, 1000, 1090.225,
    ),
    "young_2": (
        0, 90.225, 196.09, 294.135, 392.18, 498.045, 588.27, 698.045, 792.18, 894.135, 996.09, 1090.225,
    ),
}  # fmt: skip
"""Cents above C, from published tables."""


def tempered_music(
    scale: str, a4_hz: float, *, key: int = 0, tonic: int = 0, seed: int = 1, seconds: float = 30.0
) -> Samples:
    """A melody over longer low notes in the major scale on `key`, in the temperament `scale` on `tonic`.

    `key` and `tonic` are semitones above C; A4 is exactly `a4_hz`. One note in twenty is foreign to the key.
    """
    random = np.random.default_rng(seed)
    degrees = [
        int(random.choice(MAJOR)) if random.random() > 0.05 else int(random.integers(12)) for _ in range(400)
    ]
    places = [(degree + key) % 12 for degree in degrees]
    cents = [100.0 * pc + _bend(scale, pc - tonic) - _bend(scale, 9 - tonic) for pc in places]
    upper = melody(a4_hz, seconds=seconds, notes=cents)
    lower = melody(a4_hz / 2, seconds=seconds, notes=cents[200:], note_seconds=1.0)
    return upper + lower[: upper.size]


def _bend(scale: str, step: int) -> float:
    return TEMPERAMENTS[scale][step % 12] - 100.0 * (step % 12)


def bowl(
    hz: float, *, seconds: float = 20.0, rate: int = RATE, rubbed: bool = False, seed: int = 1
) -> Samples:
    """A singing bowl: five inharmonic partials, each two tones a few Hz apart that beat."""
    random = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    out = np.zeros(time.size)
    for index, ratio in enumerate((1.0, 2.77, 5.18, 8.16, 11.66)):
        swell = np.minimum(1.0, time / 4) if rubbed else np.exp(-time * (1 + 1.2 * index) / 9)
        split = random.uniform(0.3, 1.0) * (1 + index)
        for side, level in ((-0.5, 1.0), (0.5, random.uniform(0.3, 0.9))):
            turns = 2 * math.pi * (hz * ratio + side * split) * time + random.uniform(0, 6)
            out += (0.3 if rubbed and index else 1.0) * 0.45**index * level * swell * np.sin(turns)
    return np.asarray(0.2 * out + 1e-4 * random.standard_normal(out.size), np.float32)


def singer(
    a4_hz: float, *, seed: int, spread_cents: float, vibrato_cents: float, seconds: float = 30.0
) -> Samples:
    """A solo voice with irregular vibrato; its notes deviate by `spread_cents` (standard deviation)."""
    random = np.random.default_rng(seed)
    out = np.zeros(int(seconds * RATE))
    start = 0
    while start < out.size - RATE // 2:
        size = min(int(random.uniform(0.3, 1.2) * RATE), out.size - start)
        time = np.arange(size) / RATE
        depth = vibrato_cents * random.uniform(0.6, 1.2) * np.clip((time - 0.15) / 0.2, 0, 1)
        cents = 100.0 * random.choice(MAJOR) - 900.0 + random.normal(0, spread_cents)
        cents = cents + depth * np.sin(2 * math.pi * random.uniform(5, 6.3) * time + random.uniform(0, 6))
        knots = np.arange(0, time[-1] + 0.2, 0.1)
        cents += np.interp(time, knots, random.normal(0, 5, knots.size))
        turns = 2 * math.pi * np.cumsum(a4_hz * 2 ** (cents / 1200)) / RATE
        swell = np.minimum(1.0, np.minimum(time / 0.04, (size / RATE - time) / 0.06))
        out[start : start + size] = 0.1 * swell * sum(np.sin(h * turns) / h for h in range(1, 12))
        start += size + int(random.uniform(0, 0.1) * RATE)
    return (out + 1e-3 * random.standard_normal(out.size)).astype(np.float32)

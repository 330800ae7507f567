"""Synthetic recordings whose tuning is known exactly. Deterministic; knows nothing of the estimator."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
RATE = 22050
MAJOR = (0, 2, 4, 5, 7, 9, 11, 12)
"""Semitones over C."""


def sine(hz: float, *, seconds: float = 10.0, rate: int = RATE, level: float = 0.3) -> Samples:
    """A lone sine."""
    return harmonic(hz, seconds=seconds, rate=rate, level=level, partials=1)


def harmonic(
    hz: float, *, seconds: float = 10.0, rate: int = RATE, level: float = 0.3, partials: int = 10
) -> Samples:
    """One steady tone with overtones falling as 1/h."""
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
    """A line of notes with seven overtones each, in order of `notes` (cents over the C below A4).

    `stretch` is the B of a stiff string; `bend` gives cents to add at each second.
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
    """Struck skins: decaying inharmonic modes and bursts of noise, twice a second each."""
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


def speech(*, seconds: float = 20.0, rate: int = RATE) -> Samples:
    """A gliding voice: harmonics of 90 to 220 Hz that never rest, in syllables."""
    random = np.random.default_rng(11)
    time = np.arange(int(seconds * rate)) / rate
    knots = random.uniform(90, 220, int(seconds * 5) + 2)
    hz = np.interp(time, np.arange(knots.size) / 5, knots)
    turns = 2 * math.pi * np.cumsum(hz) / rate
    syllables = np.clip(np.sin(2 * math.pi * 4 * time), 0, 1)
    tone = sum(np.sin(h * turns) / h for h in range(1, 20))
    return np.asarray(0.1 * syllables * tone, np.float32)


def sweep(*, seconds: float = 20.0, rate: int = RATE) -> Samples:
    """A sine that rises from 100 Hz by an octave each five seconds."""
    time = np.arange(int(seconds * rate)) / rate
    turns = 2 * math.pi * np.cumsum(100 * 2 ** (time / 5)) / rate
    return np.asarray(0.3 * np.sin(turns), np.float32)


def scale_of(steps: int, *, count: int = 80) -> list[float]:
    """Random notes of the scale that divides the octave into `steps` equal parts, in cents."""
    random = np.random.default_rng(steps)
    return [1200.0 * int(random.integers(0, steps)) / steps for _ in range(count)]

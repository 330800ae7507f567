"""What a reader wants to see beside the answer: the strongest peak, a spectrum and a histogram."""

import math

import numpy as np
from numpy.typing import NDArray

from shared.domain.report import Spectrum
from worker.tuning.peaks import Partials
from worker.tuning.pitch_histogram import BINS

NOTE_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
POINTS = 512
FAINTEST_DB = -120.0


def dominant_hz(partials: Partials) -> float | None:
    """The frequency with most power over all frames: peaks within 7.5 cents count together."""
    if partials.hz.size == 0:
        return None
    power = 10.0 ** (partials.level_db.astype(np.float64) / 10.0)
    cents = partials.cents
    bins = np.round(cents / 5.0).astype(np.int64)
    bins -= int(bins.min())
    total = np.bincount(bins, power)
    best = int(np.argmax(np.convolve(total, [1.0, 1.0, 1.0], mode="same")))
    near = np.abs(bins - best) <= 1
    return float((partials.hz * power)[near].sum() / power[near].sum())


def note_of(hz: float) -> tuple[str, float]:
    """The nearest note in A4 = 440 Hz, such as `C#4`, and the cents from it."""
    midi = 69.0 + 12.0 * math.log2(hz / 440.0)
    near = round(midi)
    return f"{NOTE_NAMES[near % 12]}{near // 12 - 1}", 100.0 * (midi - near)


def spectrum_of(partials: Partials) -> Spectrum | None:
    """The mean Hann spectrum on a log axis: the strongest bin of each point, so that no line is lost."""
    bins = partials.first_bin + np.arange(partials.mean_power.size)
    low_hz, high_hz = float(bins[0] * partials.bin_hz), float(bins[-1] * partials.bin_hz)
    top = float(partials.mean_power.max())
    if not top > 0.0:
        return None
    at = low_hz * (high_hz / low_hz) ** (np.arange(POINTS) / (POINTS - 1))
    half = (high_hz / low_hz) ** (0.5 / (POINTS - 1))
    first = np.searchsorted(bins * partials.bin_hz, at / half)
    last = np.searchsorted(bins * partials.bin_hz, at * half)
    smooth = np.interp(at, bins * partials.bin_hz, partials.mean_power)
    points = [
        float(partials.mean_power[a:b].max()) if b > a else float(v)
        for a, b, v in zip(first, last, smooth, strict=True)
    ]
    return Spectrum(
        low_hz=low_hz,
        high_hz=high_hz,
        levels_db=tuple(
            round(max(FAINTEST_DB, min(0.0, 10.0 * math.log10(max(p / top, 1e-12)))), 2) for p in points
        ),
    )


def histogram_of(counts: NDArray[np.float64]) -> tuple[float, ...]:
    """100 bins of one cent from the evidence, shape (12, segments, BINS); empty without any."""
    fine = counts.sum(axis=(0, 1))
    total = float(fine.sum())
    if total <= 0.0:
        return ()
    return tuple(round(float(v), 6) for v in fine.reshape(100, BINS // 100).sum(axis=1) / total)

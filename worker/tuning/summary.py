"""Summaries for readers: the strongest peak, a spectrum and the tuning histogram."""

import math

import numpy as np
from numpy.typing import NDArray

from shared.domain.report import Spectrum
from worker.tuning.pitch_histogram import BINS
from worker.tuning.spectral.peaks import SpectralPeaks

NOTE_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
POINTS = 512
FAINTEST_DB = -120.0


def dominant_hz(peaks: SpectralPeaks) -> float | None:
    """The frequency with the most power over all frames; peaks within 7.5 cents count together."""
    if peaks.hz.size == 0:
        return None
    power = peaks.power
    cents = peaks.cents
    bins = np.round(cents / 5.0).astype(np.int64)
    bins -= int(bins.min())
    total = np.bincount(bins, power)
    best = int(np.argmax(np.convolve(total, [1.0, 1.0, 1.0], mode="same")))
    near = np.abs(bins - best) <= 1
    return float((peaks.hz * power)[near].sum() / power[near].sum())


def nearest_note(hz: float) -> tuple[str, float]:
    """The nearest note in A4 = 440 Hz, such as `C#4`, and the deviation from it in cents."""
    midi = 69.0 + 12.0 * math.log2(hz / 440.0)
    nearest = round(midi)
    return f"{NOTE_NAMES[nearest % 12]}{nearest // 12 - 1}", 100.0 * (midi - nearest)


def summarize_spectrum(peaks: SpectralPeaks) -> Spectrum | None:
    """The power spectrum on a log axis. Each point has the maximum of its bins, so that lines stay
    visible."""
    bins = peaks.first_bin + np.arange(peaks.power_spectrum.size)
    low_hz, high_hz = float(bins[0] * peaks.bin_hz), float(bins[-1] * peaks.bin_hz)
    top = float(peaks.power_spectrum.max())
    if not top > 0.0:
        return None
    point_hz = low_hz * (high_hz / low_hz) ** (np.arange(POINTS) / (POINTS - 1))
    half = (high_hz / low_hz) ** (0.5 / (POINTS - 1))
    first = np.searchsorted(bins * peaks.bin_hz, point_hz / half)
    last = np.searchsorted(bins * peaks.bin_hz, point_hz * half)
    smooth = np.interp(point_hz, bins * peaks.bin_hz, peaks.power_spectrum)
    # Every other maximum lies between an end and the next start. The last end lies behind the last bin.
    edges = np.stack([first, last], axis=1).ravel()
    maxima = np.maximum.reduceat(np.append(peaks.power_spectrum, 0.0), edges)[::2]
    points = np.where(last > first, maxima, smooth)
    levels = 10.0 * np.log10(np.clip(points / top, 1e-12, 1.0))
    return Spectrum(
        low_hz=low_hz,
        high_hz=high_hz,
        levels_db=tuple(np.round(np.maximum(levels, FAINTEST_DB), 2).tolist()),
    )


def summarize_histogram(counts: NDArray[np.float64]) -> tuple[float, ...]:
    """100 bins of one cent from `counts`, shape (12, segments, BINS); empty for an empty histogram."""
    fine = counts.sum(axis=(0, 1))
    total = float(fine.sum())
    if total <= 0.0:
        return ()
    return tuple(round(float(v), 6) for v in fine.reshape(100, BINS // 100).sum(axis=1) / total)

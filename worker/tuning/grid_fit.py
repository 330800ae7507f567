"""Fits the semitone grid to a tuning histogram: where it lies, how well it fits and how certain it is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.tuning.pitch_histogram import BINS
from worker.tuning.robust_mean import BIN_CENTS, gaussian, jackknife_error, robust_means
from worker.tuning.spectral.circle import wrap

COARSE_CENTS = 10.0
"""Smoothing width for the search of the highest peak."""
WIDTH = 0.6
"""Width of the final robust mean relative to the peak's own. A narrower mean jumps between the two tones of a
layered voice, a wider one is biased by wrong matches. 0.4 to 1 give the same accuracy."""
MIN_WIDTH_CENTS = 4.0
SKIRT_CENTS = 30.0
"""The width of a peak is measured up to this distance."""
MIN_PART_SHARE = 0.01
"""The jackknife leaves out only parts with at least this share of the weight."""
_COARSE = gaussian(COARSE_CENTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class GridFit:
    """Where the semitone grid lies, in cents from A440 (-50 to +50), and how well it fits."""

    cents: float
    peak_share: float
    """Share of the weight within 6 cents of the grid, above what a uniform distribution has; 0 to 1."""
    second_peak_ratio: float
    """Height of the second-best grid, 20 or more cents away, over the best; 0 to 1."""
    quarter_tone_ratio: float
    """Height of the grid half a semitone away over the best, both above the median; 0 to 1."""
    note_error: float
    """Standard error in cents, from leaving out one pitch class at a time (jackknife)."""
    time_error: float
    """Standard error in cents, from leaving out ten seconds at a time (jackknife)."""


def fit_grid(counts: NDArray[np.float64], sustained: NDArray[np.float64]) -> GridFit | None:
    """The grid that fits `counts` and `sustained` of a PitchHistogram, or None for an empty histogram.

    `counts` decides which grid it is and how good the second-best is; `sustained` decides where it lies.
    """
    total_counts, total_sustained = counts.sum(axis=(0, 1)), sustained.sum(axis=(0, 1))
    total = float(total_counts.sum())
    if total <= 0.0:
        return None
    smooth = np.fft.irfft(np.fft.rfft(total_counts) * _COARSE, BINS)
    top = int(np.argmax(smooth))
    best, median = float(smooth[top]), float(np.median(smooth))
    coarse = float(robust_means(total_sustained[None, :], float(BIN_CENTS[top]), COARSE_CENTS)[0])
    width = max(WIDTH * _peak_width(total_sustained, coarse), MIN_WIDTH_CENTS)
    cents = float(robust_means(total_sustained[None, :], coarse, width)[0])
    distance = np.abs(wrap(BIN_CENTS - BIN_CENTS[top]))
    inside = float(total_counts[np.abs(wrap(BIN_CENTS - cents)) <= 6.0].sum()) / total
    return GridFit(
        cents=wrap(cents),
        peak_share=max(0.0, (inside - 0.12) / 0.88),
        second_peak_ratio=float(smooth[distance >= 20.0].max()) / max(best, 1e-300),
        quarter_tone_ratio=float(smooth[distance >= 44.0].max() - median) / max(best - median, 1e-300),
        note_error=_jackknife(total_sustained, sustained.sum(axis=1), cents, width),
        time_error=_jackknife(total_sustained, sustained.sum(axis=0), cents, width),
    )


def _peak_width(counts: NDArray[np.float64], cents: float) -> float:
    """Standard deviation in cents of the peak of `counts`, shape (BINS,), around `cents`."""
    residual = wrap(BIN_CENTS - cents)
    floor = float(np.quantile(counts.reshape(100, -1).mean(axis=1), 0.2))
    above = np.maximum(counts - floor, 0.0) * (np.abs(residual) < SKIRT_CENTS)
    total = max(float(above.sum()), 1e-300)
    middle = float((above * residual).sum()) / total
    return float(np.sqrt((above * (residual - middle) ** 2).sum() / total))


def _jackknife(whole: NDArray[np.float64], parts: NDArray[np.float64], cents: float, width: float) -> float:
    """Standard error of the peak of `whole`, the sum of `parts` of shape (n, BINS)."""
    large = parts[parts.sum(axis=1) > MIN_PART_SHARE * whole.sum()]
    return jackknife_error(robust_means(whole - large, cents, width)) if len(large) > 1 else 0.0

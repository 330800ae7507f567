"""Measures how far the notes lie from one another, as those of a singer do."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.tuning.pitch_histogram import BINS
from worker.tuning.robust_mean import BIN_CENTS, gaussian
from worker.tuning.spectral.circle import wrap

NOTE_CENTS = 5.0
"""Smoothing width for the peak of one note."""
NEAR_CENTS = 35.0
"""Notes further from the grid are accidental."""
MIN_CELL_SHARE = 0.002
"""Cells with less weight are ignored."""
_NOTE = gaussian(NOTE_CENTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSpread:
    """Distribution of the notes (one per pitch class and ten seconds) around the fitted grid."""

    mean_cents: float
    """Mean of the notes near the grid."""
    spread_cents: float
    """Weighted median absolute deviation: instruments 0.3 to 5, untrained singers 6 to 10."""
    error_cents: float
    """Standard error of the centre, if the notes are independent."""


def measure_note_spread(counts: NDArray[np.float64], cents: float) -> NoteSpread:
    """The spread of `counts`, shape (12, segments, BINS) and not empty, around the grid at `cents`."""
    cells = counts.reshape(-1, BINS)
    total = cells.sum(axis=1)
    cells = cells[total > MIN_CELL_SHARE * total.sum()]
    smooth = np.fft.irfft(np.fft.rfft(cells, axis=1) * _NOTE, BINS, axis=1)
    peak = smooth.argmax(axis=1)
    weight = smooth[np.arange(peak.size), peak] - np.median(smooth, axis=1)
    weight = np.maximum(weight, 1e-300) / max(float(weight.sum()), 1e-300)
    residual = wrap(BIN_CENTS[peak] - cents)
    spread = _weighted_median(np.abs(residual - _weighted_median(residual, weight)), weight)
    near = weight * (np.abs(residual) < NEAR_CENTS)
    return NoteSpread(
        mean_cents=float((near * residual).sum() / max(float(near.sum()), 1e-300)),
        spread_cents=spread,
        # 1.4826 median absolute deviations are one standard deviation of a normal distribution.
        error_cents=1.4826 * spread * float(np.sqrt((weight**2).sum())),
    )


def _weighted_median(values: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    order = np.argsort(values, kind="stable")
    index = int(np.searchsorted(np.cumsum(weight[order]), 0.5 * weight.sum()))
    return float(values[order[min(index, order.size - 1)]])

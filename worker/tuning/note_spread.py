"""How far the notes lie from one another: of singers who sing each a little differently. Arithmetic only."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.tuning.grid_fit import PLACES, gaussian, wrap
from worker.tuning.pitch_histogram import BINS

NOTE_CENTS = 5.0
"""Width of one note's heap."""
NEAR_CENTS = 35.0
"""Beyond lies chance: no singer who means this note."""
FAINT = 0.002
_HEAP = gaussian(NOTE_CENTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSpread:
    """Where each pitch class lies in each ten seconds, against the fitted grid."""

    mean_cents: float
    """Of those near the grid."""
    spread_cents: float
    """Median distance from their median: instruments 0.3 to 5, untrained singers 6 to 10."""
    error_cents: float
    """Standard error of their middle, were each note drawn anew."""


def note_spread_of(counts: NDArray[np.float64], cents: float) -> NoteSpread:
    """The scatter of `counts`, shape (12, segments, BINS) and not empty, around the grid at `cents`."""
    cells = counts.reshape(-1, BINS)
    total = cells.sum(axis=1)
    cells = cells[total > FAINT * total.sum()]
    smooth = np.fft.irfft(np.fft.rfft(cells, axis=1) * _HEAP, BINS, axis=1)
    place = smooth.argmax(axis=1)
    weight = smooth[np.arange(place.size), place] - np.median(smooth, axis=1)
    weight = np.maximum(weight, 1e-300) / max(float(weight.sum()), 1e-300)
    away = wrap(PLACES[place] - cents)
    spread = _median(np.abs(away - _median(away, weight)), weight)
    near = weight * (np.abs(away) < NEAR_CENTS)
    return NoteSpread(
        mean_cents=float((near * away).sum() / max(float(near.sum()), 1e-300)),
        spread_cents=spread,
        # 1.4826 median deviations are one standard deviation of a normal distribution.
        error_cents=1.4826 * spread * float(np.sqrt((weight**2).sum())),
    )


def _median(values: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    order = np.argsort(values, kind="stable")
    at = int(np.searchsorted(np.cumsum(weight[order]), 0.5 * weight.sum()))
    return float(values[order[min(at, order.size - 1)]])

"""Which semitone grid does the evidence fit, and how surely? Histograms in, cents out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.evidence import BINS

PLACES = np.arange(BINS) * (100.0 / BINS) - 50.0 + 50.0 / BINS
"""Cents from the A440 grid of each bin's middle, shape (BINS,)."""
COARSE_CENTS = 10.0
FINE_CENTS = (8.0, 5.0, 4.0)
"""Widths of the robust mean: wide enough to catch a skewed peak, then narrow enough to drop its skirt."""


def wrap(cents: float) -> float:
    """Cents folded to -50..+50."""
    return (cents + 50.0) % 100.0 - 50.0


def _kernel(width: float) -> NDArray[np.complex128]:
    turn = (PLACES - PLACES[0] + 50.0) % 100.0 - 50.0
    return np.asarray(np.fft.rfft(np.exp(-0.5 * (turn / width) ** 2)), np.complex128)


_COARSE = _kernel(COARSE_CENTS)


def peak_of(counts: NDArray[np.float64]) -> float:
    """The tuning in cents from the A440 grid that most of `counts`, shape (BINS,), lies around."""
    smooth = np.fft.irfft(np.fft.rfft(counts) * _COARSE, BINS)
    start = float(PLACES[int(np.argmax(smooth))])
    return wrap(float(_refined(counts[None, :], start)[0]))


def _refined(counts: NDArray[np.float64], start: float) -> NDArray[np.float64]:
    """The robust mean of each row of `counts`, shape (n, BINS), found from `start` cents; shape (n,)."""
    cents = np.full((len(counts), 1), start)
    for width in FINE_CENTS:
        for _ in range(8):
            rest = (PLACES - cents + 50.0) % 100.0 - 50.0
            near = counts * np.exp(-0.5 * (rest / width) ** 2)
            step = (near * rest).sum(axis=1) / np.maximum(near.sum(axis=1), 1e-300)
            cents += 1.4 * step[:, None]
            if float(np.abs(step).max()) < 5e-3:
                break
    return np.asarray(cents[:, 0], np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class GridFit:
    """Where the grid lies, from -50 to +50 cents of A440, and what speaks for it."""

    cents: float
    share: float
    """Of the weight, how much lies within 6 cents beyond what chance would put there; 0..1."""
    rival: float
    """Height of the second-best grid, 20 or more cents away, over the best; 0..1."""
    quarter: float
    """Height of the grid half a semitone away over the best, both over the median; 0 to 1."""
    note_error: float
    """Standard error in cents, from leaving out one pitch class at a time (jackknife)."""
    time_error: float
    """Standard error in cents, from leaving out ten seconds at a time."""


def fit_grid(counts: NDArray[np.float64]) -> GridFit | None:
    """The grid that fits `counts`, shape (12, segments, BINS), or None without any."""
    whole = counts.sum(axis=(0, 1))
    total = float(whole.sum())
    if total <= 0.0:
        return None
    cents = peak_of(whole)
    away = np.abs((PLACES - cents + 50.0) % 100.0 - 50.0)
    smooth = np.fft.irfft(np.fft.rfft(whole) * _COARSE, BINS)
    best = float(smooth[away < 3.0].max())
    middle = float(np.median(smooth))
    inside = float(whole[away <= 6.0].sum()) / total
    return GridFit(
        cents=cents,
        share=max(0.0, (inside - 0.12) / 0.88),
        rival=float(smooth[away >= 20.0].max()) / max(best, 1e-300),
        quarter=float(smooth[away >= 44.0].max() - middle) / max(best - middle, 1e-300),
        note_error=_jackknife(whole, counts.sum(axis=1), cents),
        time_error=_jackknife(whole, counts.sum(axis=0), cents),
    )


def _jackknife(whole: NDArray[np.float64], parts: NDArray[np.float64], cents: float) -> float:
    """Standard error of the peak of `whole`, the sum of `parts` of shape (n, BINS)."""
    weighty = parts[parts.sum(axis=1) > 0.01 * whole.sum()]
    n = len(weighty)
    if n < 2:
        return 0.0
    moved = (_refined(whole - weighty, cents) - cents + 50.0) % 100.0 - 50.0
    return float(np.sqrt((n - 1) / n * ((moved - moved.mean()) ** 2).sum()))

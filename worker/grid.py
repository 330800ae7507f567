"""Which semitone grid do the partials fit? Works modulo a semitone, in cents from A4 = 440 Hz."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.partials import LOWEST_HZ, QUIET_DB, Partials

COARSE_WIDTH_CENTS = 12.0
FINE_WIDTHS_CENTS = (12.0, 8.0, 5.0)
"""Widths of the robust mean: wide enough to catch a skewed peak, then narrow enough to drop its skirt."""

OFF_GRID_HARMONICS = (3, 5, 6, 7, 9, 10)
"""They lie +2, -14, +2, -31, +4 and -14 cents from the nearest tempered note."""
OVERTONE_WEIGHT = 0.05
CELL_CENTS = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GridFit:
    """Where the grid lies and how well the partials agree."""

    cents: float
    """-50..+50 from the A440 grid."""
    agreement: float
    """Resultant length of the deviations, 0 (anywhere) to 1 (all alike)."""
    notes: float
    """Effective number of different semitones heard (participation ratio)."""
    spread_cents: float
    histogram: NDArray[np.float64]
    """Shape (100,), bins of 1 cent from -50 to +50, adding up to 1."""


def wrap(cents: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cents folded to -50..+50."""
    return (cents + 50.0) % 100.0 - 50.0


def weights(partials: Partials) -> NDArray[np.float64]:
    """How far each partial counts, shape (n,): by dB over the floor, never by amplitude."""
    if partials.hz.size == 0:
        return np.zeros(0)
    loud = np.quantile(partials.level_db, 0.95)
    weight = np.clip(partials.prominence_db - 8.0, 0.0, 25.0) * (partials.hz / 440.0) ** -0.25
    weight *= partials.level_db > loud - QUIET_DB
    weight[_is_overtone(partials)] *= OVERTONE_WEIGHT
    return np.asarray(weight, np.float64)


def _is_overtone(partials: Partials) -> NDArray[np.bool_]:
    """True where the peak is a harmonic, off the tempered grid, of a peak in the same frame."""
    cell = np.round(1200 / CELL_CENTS * np.log2(partials.hz / LOWEST_HZ)).astype(int) + 2
    heard = np.zeros((partials.frames, int(cell.max()) + 3), np.bool_)
    for shift in (-1, 0, 1):
        heard[partials.frame, cell + shift] = True
    overtone = np.zeros(partials.hz.size, np.bool_)
    for order in OFF_GRID_HARMONICS:
        below = cell - round(1200 / CELL_CENTS * np.log2(order))
        overtone |= heard[partials.frame, np.maximum(below, 0)] & (below >= 0)
    return overtone


def fit_grid(hz: NDArray[np.float64], weight: NDArray[np.float64]) -> GridFit | None:
    """The grid that most weight lies on, or None without partials."""
    total = float(weight.sum())
    if hz.size == 0 or total <= 0.0:
        return None
    pitch = 1200.0 * np.log2(hz / 440.0)
    off = wrap(pitch)
    fine = np.bincount(((off + 50.0) * 2).astype(int) % 200, weight, 200)
    grid = np.arange(200) * 0.5 - 49.75
    kernel = np.exp(-0.5 * (wrap(grid - grid[0]) / COARSE_WIDTH_CENTS) ** 2)
    smooth = np.fft.irfft(np.fft.rfft(fine) * np.fft.rfft(kernel), 200)
    cents = float(grid[int(np.argmax(smooth))])
    for width in FINE_WIDTHS_CENTS:
        for _ in range(8):
            rest = wrap(off - cents)
            near = weight * np.exp(-0.5 * (rest / width) ** 2)
            cents += float((near * rest).sum() / max(near.sum(), 1e-30)) * 1.5
    rest = wrap(off - cents)
    near = weight * np.exp(-0.5 * (rest / FINE_WIDTHS_CENTS[-1]) ** 2)
    agreement = float(abs((weight * np.exp(2j * np.pi * off / 100.0)).sum()) / total)
    keys = np.bincount(np.round((pitch - cents) / 100.0).astype(int) + 80, weight)
    histogram = fine.reshape(100, 2).sum(axis=1) / total
    return GridFit(
        cents=float(wrap(np.asarray(cents))),
        agreement=agreement,
        notes=float(keys.sum() ** 2 / (keys**2).sum()),
        spread_cents=float(np.sqrt((near * rest**2).sum() / max(near.sum(), 1e-30))),
        histogram=histogram,
    )

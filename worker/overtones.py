"""Which series a partial may belong to, and how far this recording's overtones are stretched."""

import numpy as np
from numpy.typing import NDArray

from worker.partials import LOWEST_HZ

HARMONICS = 12
"""Overtones 2..12 count as measurements of their fundamental. 8 to 24 score alike."""
CELL_CENTS = 12.0
"""Half of three cells, 18 cents, is how far an overtone may stray from its series."""
STRETCH_CENTS = 16.0
"""Strings stretch overtones by a few cents (Fletcher 1964: 866 B h**2); more is another note."""
STRETCH_WIDTH_CENTS = 3.0
"""Width of the robust mean over one recording's overtones of one order and octave."""
STRETCHES = np.concatenate([[0.0], np.geomspace(0.03, 1.6, 23)])
"""Cents per (h**2 - 1): none to a small piano's top octave."""
USUAL_STRETCH = 0.15
"""Of the middle octaves of pianos and guitars; winds and bowed strings have none."""
DECISIVE = 0.01
"""A stretch that fits this fraction worse than the best weighs 1/e of it: no jumps between versions."""
_LOW = 1200.0 * np.log2(LOWEST_HZ / 440.0)
_PLACES = np.arange(64) * (2 * STRETCH_CENTS / 64) - STRETCH_CENTS + STRETCH_CENTS / 64


def series_of(
    cents: NDArray[np.float64], frame: NDArray[np.int32], frames: int
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """For each order and partial: is there a peak where its fundamental would be, and at which pitch?

    Both of shape (HARMONICS, n); order 1 is the partial itself and always there.
    """
    cell = np.maximum(np.round((cents - _LOW) / CELL_CENTS).astype(np.int64), 0) + 2
    columns = int(cell.max(initial=0)) + 3
    pitch = np.full(frames * columns, np.nan, np.float32)
    flat = frame.astype(np.int64) * columns + cell
    for shift in (-1, 1, 0):
        pitch[flat + shift] = cents
    below = np.empty((HARMONICS, cents.size), np.float32)
    for order in range(1, HARMONICS + 1):
        step = round(1200.0 / CELL_CENTS * np.log2(order))
        below[order - 1] = np.where(cell > step, pitch[np.maximum(flat - step, 0)], np.nan)
    below[0] = cents
    return ~np.isnan(below), below


def stretch_of(
    cents: NDArray[np.float64], below: NDArray[np.float32], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Cents that the overtones of a fundamental in each octave lie over it, per (h**2 - 1); shape (8,).

    A stiff string's overtone h lies about 866 B (h**2 - 1) cents over h times its fundamental (Fletcher
    1964). Measured in this recording, the stretch lets overtones sharpen the reading of fundamentals
    without shifting it. Notes that only happen to lie there scatter.
    """
    score = np.zeros((8, STRETCHES.size))
    for order in range(2, 7):
        mine = ~np.isnan(below[order - 1])
        rest = cents[mine] - 1200.0 * np.log2(order) - below[order - 1, mine]
        place = np.clip(((rest + STRETCH_CENTS) * (64 / (2 * STRETCH_CENTS))).astype(np.int64), 0, 63)
        counts = np.bincount(octave_of(below[order - 1, mine]) * 64 + place, weight[mine], 8 * 64).reshape(
            8, 64
        )
        away = _PLACES[:, None] - STRETCHES * (order**2 - 1)
        score += counts @ np.exp(-0.5 * (away / STRETCH_WIDTH_CENTS) ** 2)
    best = np.maximum(score.max(axis=1, keepdims=True), 1e-300)
    likely = np.exp((score / best - 1.0) / DECISIVE - STRETCHES / USUAL_STRETCH)
    return np.asarray((likely * STRETCHES).sum(axis=1) / likely.sum(axis=1), np.float64)


def octave_of(cents: NDArray[np.floating]) -> NDArray[np.int64]:
    """Octaves over LOWEST_HZ, 0..7."""
    return np.asarray(np.clip((cents - _LOW) // 1200.0, 0, 7), np.int64)

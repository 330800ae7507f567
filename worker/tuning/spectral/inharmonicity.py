"""Estimates how far stiff strings stretch the partials of a recording."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from worker.tuning.spectral.harmonics import HarmonicMatches
from worker.tuning.spectral.peak_table import LOWEST_CENTS

STRETCH_CENTS = 16.0
"""Strings stretch partials by a few cents (Fletcher 1964: 866 B h**2); more is another note."""
STRETCH_WIDTH_CENTS = 5.0
"""Width of the robust mean (Lorentzian, as in `robust_mean`) over the partials of the recording."""
PIANO_CENTS = np.array([0.1, 0.1, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2])
"""Stretch of a small piano in cents per (h**2 - 1), by octave above C1; doubles per octave above C3."""
ZERO_PRIOR = 0.03
"""Share of the weight that votes for no stretch, so that few partials can't cause a large estimate."""
_ORDERS = np.arange(2, 7)
_OFFSETS = np.linspace(-STRETCH_CENTS, STRETCH_CENTS, 65)
_STEP = _OFFSETS[1] - _OFFSETS[0]
_PIANO = (_ORDERS[:, None] ** 2 - 1) * PIANO_CENTS
_IN_RANGE = (_PIANO < STRETCH_CENTS)[:, :, None]


def _agreement(stiffness: float) -> NDArray[np.float64]:
    """Weights of partial offsets for agreeing with this stiffness."""
    residual = _OFFSETS - stiffness * _PIANO[:, :, None]
    return np.asarray(1.0 / (1.0 + (residual / STRETCH_WIDTH_CENTS) ** 2) ** 2, np.float64)


def estimate_inharmonicity(windows: Sequence[HarmonicMatches]) -> NDArray[np.float64]:
    """Stretch of partials by octave of the fundamental, in cents per (h**2 - 1); shape (8,).

    Partial h of a stiff string lies about 866 B (h**2 - 1) cents above h times its fundamental (Fletcher
    1964, "Normal vibration frequencies of a stiff piano string"). One number for the recording, its mean
    stiffness relative to a small piano, fits better and varies less than one number per octave. Unrelated
    notes scatter and have little influence. Partials are matched with every lower one (the fourth also with
    the second): this raises the estimate by up to half, which is what those matches need.
    """
    counts = sum((_counts(window) for window in windows), np.zeros((_ORDERS.size, 8, _OFFSETS.size)))
    piano = _PIANO[:, :, None]
    zero_weight = ZERO_PRIOR * float((counts * piano).sum())
    stiffness = 0.0
    for _ in range(100):
        weight = counts * _agreement(stiffness) * piano
        estimate = float((weight * _OFFSETS).sum()) / max(float((weight * piano).sum()) + zero_weight, 1e-300)
        step = max(0.0, stiffness + 1.5 * (estimate - stiffness)) - stiffness
        stiffness += step
        if abs(step) < 1e-3:
            break
    return np.asarray(stiffness * PIANO_CENTS, np.float64)


def _counts(window: HarmonicMatches) -> NDArray[np.float64]:
    """Weight by order, octave of the fundamental and offset from its multiple; shape (orders, 8, offsets)."""
    counts = np.zeros((_ORDERS.size, 8, _OFFSETS.size))
    weight = window.share * window.sustain
    octave = octave_of(window.cents)
    for row, order in zip(counts, _ORDERS, strict=True):
        matched = np.flatnonzero(window.fundamentals[order - 1] >= 0)
        fundamental = window.fundamentals[order - 1, matched]
        offset = window.cents[matched] - 1200.0 * np.log2(order) - window.cents[fundamental]
        column = np.round((np.clip(offset, _OFFSETS[0], _OFFSETS[-1]) - _OFFSETS[0]) / _STEP).astype(np.int64)
        row += np.bincount(octave[fundamental] * _OFFSETS.size + column, weight[matched], row.size).reshape(
            row.shape
        )
    return np.asarray(counts * _IN_RANGE, np.float64)


def octave_of(cents: NDArray[np.floating]) -> NDArray[np.int64]:
    """Octaves above C1, 0 to 7."""
    return np.asarray(np.clip((cents - LOWEST_CENTS) / 1200.0, 0.0, 7.0), np.int64)

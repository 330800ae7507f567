"""How far this recording's overtones are stretched."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from worker.tuning.harmonics import HarmonicMatches
from worker.tuning.peak_table import LOWEST_CENTS

STRETCH_CENTS = 16.0
"""Strings stretch overtones by a few cents (Fletcher 1964: 866 B h**2); more is another note."""
STRETCH_WIDTH_CENTS = 5.0
"""Width of the robust mean (Lorentzian, as in `grid`) over one recording's overtones."""
PIANO_CENTS = np.array([0.1, 0.1, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2])
"""Cents per (h**2 - 1) of a small piano's strings, by octave over C1: doubled with each over C3."""
DOUBT = 0.03
"""Share of the overtones that is taken to have no stretch: where few tell, they are believed less."""
_ORDERS = np.arange(2, 7)
_PLACES = np.linspace(-STRETCH_CENTS, STRETCH_CENTS, 65)
_STEP = _PLACES[1] - _PLACES[0]
_PIANO = (_ORDERS[:, None] ** 2 - 1) * PIANO_CENTS
_TOLD = (_PIANO < STRETCH_CENTS)[:, :, None]


def _near(stiffness: float) -> NDArray[np.float64]:
    """Weights of overtones for being where strings of this stiffness have them."""
    rest = _PLACES - stiffness * _PIANO[:, :, None]
    return np.asarray(1.0 / (1.0 + (rest / STRETCH_WIDTH_CENTS) ** 2) ** 2, np.float64)


def inharmonicity_of(windows: Sequence[HarmonicMatches]) -> NDArray[np.float64]:
    """Cents that the overtones of a fundamental in each octave lie over it, per (h**2 - 1); shape (8,).

    A stiff string's overtone h lies about 866 B (h**2 - 1) cents over h times its fundamental (Fletcher
    1964). One number for the recording, how much of a piano's stiffness its tones have on the mean, fits
    better and jumps less than one for each octave. Notes that only happen to lie there scatter. Partials
    are read over every lower one, the fourth over the second too: that raises the number by up to half,
    as those readings need.
    """
    counts = sum((_counts(window) for window in windows), np.zeros((_ORDERS.size, 8, _PLACES.size)))
    piano = _PIANO[:, :, None]
    none = DOUBT * float((counts * piano).sum())
    stiffness = 0.0
    for _ in range(100):
        near = counts * _near(stiffness) * piano
        found = float((near * _PLACES).sum()) / max(float((near * piano).sum()) + none, 1e-300)
        step = max(0.0, stiffness + 1.5 * (found - stiffness)) - stiffness
        stiffness += step
        if abs(step) < 1e-3:
            break
    return np.asarray(stiffness * PIANO_CENTS, np.float64)


def _counts(window: HarmonicMatches) -> NDArray[np.float64]:
    """Weight by order, octave of the fundamental and distance from its multiple."""
    counts = np.zeros((_ORDERS.size, 8, _PLACES.size))
    weight = window.part * window.settled
    octave = octave_of(window.cents)
    for row, order in zip(counts, _ORDERS, strict=True):
        mine = np.flatnonzero(window.roots[order - 1] >= 0)
        below = window.roots[order - 1, mine]
        rest = window.cents[mine] - 1200.0 * np.log2(order) - window.cents[below]
        place = np.round((np.clip(rest, _PLACES[0], _PLACES[-1]) - _PLACES[0]) / _STEP).astype(np.int64)
        row += np.bincount(octave[below] * _PLACES.size + place, weight[mine], row.size).reshape(row.shape)
    return np.asarray(counts * _TOLD, np.float64)


def octave_of(cents: NDArray[np.floating]) -> NDArray[np.int64]:
    """Octaves over C1, 0..7."""
    return np.asarray(np.clip((cents - LOWEST_CENTS) // 1200.0, 0, 7), np.int64)

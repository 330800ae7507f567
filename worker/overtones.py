"""Which series a partial may belong to, and how far this recording's overtones are stretched."""

import numpy as np
from numpy.typing import NDArray

from worker.peak_table import LOWEST_CENTS, PeakTable

HARMONICS = 12
"""Overtones 2..12 count as measurements of their fundamental. 8 to 24 score alike."""
STRETCH_CENTS = 16.0
"""Strings stretch overtones by a few cents (Fletcher 1964: 866 B h**2); more is another note."""
STRETCH_WIDTH_CENTS = 4.0
"""Width of the robust mean over one recording's overtones."""
PIANO_CENTS = np.array([0.1, 0.1, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2])
"""Cents per (h**2 - 1) of a small piano's strings, by octave over C1: doubled with each over C3."""
STIFFNESSES = np.concatenate([[0.0], np.geomspace(0.05, 2.0, 20)])
"""In pianos: winds, bowed strings and synthesizers have none."""
DOUBT = 0.01
"""A whole piano's stiffness must fit better than none by this fraction."""
_ORDERS = np.arange(2, 7)
_PLACES = np.linspace(-STRETCH_CENTS, STRETCH_CENTS, 65)
_STEP = _PLACES[1] - _PLACES[0]
_PIANO = (_ORDERS[:, None] ** 2 - 1) * PIANO_CENTS
_TOLD = (_PIANO < STRETCH_CENTS)[:, :, None]
_FIT = np.exp(
    -0.5 * ((_PLACES[:, None] - STIFFNESSES * _PIANO[:, :, None, None]) / STRETCH_WIDTH_CENTS) ** 2
).reshape(-1, STIFFNESSES.size)


def roots_of(table: PeakTable) -> NDArray[np.int32]:
    """For each order and partial: the peak of its frame that would be its fundamental, or -1.

    Shape (HARMONICS, n); order 1 is the partial itself.
    """
    roots = np.empty((HARMONICS, table.cell.size), np.int32)
    roots[0] = np.arange(table.cell.size)
    for order in range(2, HARMONICS + 1):
        roots[order - 1] = table.lower(1200.0 * np.log2(order))
    return roots


def stretch_of(
    cents: NDArray[np.float64], roots: NDArray[np.int32], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Cents that the overtones of a fundamental in each octave lie over it, per (h**2 - 1); shape (8,).

    A stiff string's overtone h lies about 866 B (h**2 - 1) cents over h times its fundamental (Fletcher
    1964). One number for the recording, how much of a piano's stiffness its tones have on the mean, fits
    better and jumps less than one for each octave. Notes that only happen to lie there scatter. Partials
    are read over every lower one, the fourth over the second too: that raises the number by up to half,
    as those readings need.
    """
    counts = np.zeros((_ORDERS.size, 8, _PLACES.size))
    for row, order in zip(counts, _ORDERS, strict=True):
        mine = np.flatnonzero(roots[order - 1] >= 0)
        below = cents[roots[order - 1, mine]]
        rest = cents[mine] - 1200.0 * np.log2(order) - below
        place = np.round((np.clip(rest, _PLACES[0], _PLACES[-1]) - _PLACES[0]) / _STEP).astype(np.int64)
        row += np.bincount(octave_of(below) * _PLACES.size + place, weight[mine], row.size).reshape(row.shape)
    counts *= _TOLD
    score = counts.ravel() @ _FIT
    stiffness = STIFFNESSES[int(np.argmax(score / max(float(score.max()), 1e-300) - DOUBT * STIFFNESSES))]
    piano = _PIANO[:, :, None]
    for _ in range(12):
        near = counts * np.exp(-0.5 * ((_PLACES - stiffness * piano) / STRETCH_WIDTH_CENTS) ** 2) * piano
        stiffness = max(0.0, float((near * _PLACES).sum()) / max(float((near * piano).sum()), 1e-300))
    return np.asarray(stiffness * PIANO_CENTS, np.float64)


def octave_of(cents: NDArray[np.floating]) -> NDArray[np.int64]:
    """Octaves over C1, 0..7."""
    return np.asarray(np.clip((cents - LOWEST_CENTS) // 1200.0, 0, 7), np.int64)

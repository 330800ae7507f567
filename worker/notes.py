"""How many notes, each asked alone, agree on one grid? Partials in, a number out.

Drums, machines and speech ring too, and by chance some of what they leave lies on a grid. What they lack
is tones that have overtones of their own and stand still: drums' modes are no series, voices glide.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.evidence import Evidence, steadiness
from worker.partials import LOWEST_HZ, Partials
from worker.temperaments import UnequalScale

HIGHEST_HZ = 1500.0
"""Fundamentals above are rare, and their overtones lie beyond what the low band keeps."""
ORDERS = (2, 3, 4, 5, 6)
OVERTONES = 3
"""Of ORDERS: an octave or a fifth that happens to sound gives two. 2 and 4 tell notes from drums worse."""
SERIES_CENTS = 13.0
"""How far an overtone may stray: twice a piano's stretch in its middle."""
STEADY_CENTS = 4.0
"""From one frame to the next, 0.1 s later: voices move ten times as far, vibrato stands still at its turns
only. 2.5 and 6 score alike."""
CELL_CENTS = 12.0
TURNS = 4j * np.pi / 100.0
"""Twice round per semitone: what lies a quarter-tone off agrees, what lies an eighth off speaks against."""

_LOW = 1200.0 * np.log2(LOWEST_HZ / 440.0)
_ABOVE = math.ceil(1200.0 * math.log2(max(ORDERS)) / CELL_CENTS) + 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Tones:
    """Steady tones, one entry a frame; arrays of shape (n,)."""

    cents: NDArray[np.float64]
    """Of the fundamental, from 440 Hz."""
    weight: NDArray[np.float64]

    def agreeing(self, scale: UnequalScale | None = None) -> float:
        """Effective number of semitones that agree (Rayleigh's statistic): 1 by chance, 0 without tones.

        Each semitone has one voice however often it sounds, and a weak one if its own tones disagree.
        With a `scale` its steps count as equal.
        """
        cents = self.cents
        if scale is not None:
            away = (cents[:, None] - scale.a_cents - scale.cents_over_a + 600.0) % 1200.0 - 600.0
            cents = cents - (scale.cents_over_a - 100.0 * np.arange(12))[np.abs(away).argmin(axis=1)]
        note = np.clip(np.round(cents / 100.0).astype(np.int64) + 69, 0, 127)
        turn = self.weight * np.exp(TURNS * cents)
        return _agreeing(np.bincount(note, turn.real, 128) + 1j * np.bincount(note, turn.imag, 128))


def find_tones(partials: Partials) -> Tones:
    """Partials that stand still till the next frame under overtones of their own."""
    cents = partials.cents
    cell = np.maximum(np.round((cents - _LOW) / CELL_CENTS).astype(np.int64), 0) + 1
    columns = int(cell.max(initial=0)) + _ABOVE
    place = partials.frame.astype(np.int64) * columns + cell
    pitch = np.full((partials.frames + 2) * columns, np.nan, np.float32)
    for shift in (-1, 1, 0):
        pitch[place + shift] = cents
    weight = steadiness(partials)
    low = np.flatnonzero((partials.hz < HIGHEST_HZ) & (weight > 0.0))
    low = low[np.abs(pitch[place[low] + columns] - cents[low]) < STEADY_CENTS]
    cents, place = cents[low], place[low]
    found = np.zeros(low.size, np.int64)
    for order in ORDERS:
        above = 1200.0 * math.log2(order)
        found += np.abs(pitch[place + round(above / CELL_CENTS)] - cents - above) < SERIES_CENTS
    mine = found >= OVERTONES
    return Tones(cents=cents[mine], weight=weight[low[mine]])


def agreeing_cells(heard: Evidence) -> float:
    """Effective number of pitch classes times ten seconds that agree on one grid: 1 by chance."""
    bins = heard.counts.shape[2]
    turn = np.exp(2j * np.pi / bins * np.arange(bins))
    return _agreeing((heard.counts.reshape(-1, bins) @ turn).ravel())


def _agreeing(voices: NDArray[np.complex128]) -> float:
    """Squared length of the sum of `voices` over what independent directions would give."""
    return float(abs(voices.sum()) ** 2 / max(float((np.abs(voices) ** 2).sum()), 1e-300))

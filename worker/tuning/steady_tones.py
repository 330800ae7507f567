"""How many notes, each asked alone, agree on one grid? Partials in, a number out.

Drums, machines and speech ring too, and by chance some of what they leave lies on a grid. What they lack
is tones that have overtones of their own and stand still: drums' modes are no series, voices glide.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.tuning.peak_table import CELL_CENTS, LOWEST_CENTS
from worker.tuning.peaks import HIGHEST_HZ, LOWEST_HZ, Partials
from worker.tuning.pitch_histogram import PitchHistogram
from worker.tuning.temperaments import UnequalScale
from worker.tuning.tones import steadiness

TOP_HZ = 1500.0
"""Fundamentals above are rare, and their overtones lie beyond what the low band keeps."""
ORDERS = (2, 3, 4, 5, 6)
OVERTONES = 3
"""Of ORDERS: an octave or a fifth that happens to sound gives two. 2 and 4 tell notes from drums worse."""
SERIES_CENTS = 13.0
"""How far an overtone may stray: twice a piano's stretch in its middle."""
STEADY_CENTS = 4.0
"""From one frame to the next, 0.1 s later: voices move ten times as far, vibrato stands still at its turns
only. 2.5 and 6 score alike."""
CHUNK = 64
"""Frames looked at together: their tables stay in the processor's cache."""
TURNS = 4j * np.pi / 100.0
"""Twice round per semitone: what lies a quarter-tone off agrees, what lies an eighth off speaks against."""

_COLUMNS = math.ceil((1200.0 * math.log2(HIGHEST_HZ / LOWEST_HZ) + 50.0) / CELL_CENTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SteadyTones:
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


def find_steady_tones(partials: Partials) -> SteadyTones:
    """Partials that stand still till the next frame under overtones of their own."""
    table = np.empty((CHUNK + 1) * _COLUMNS, np.float32)
    found = [
        _tones_between(partials, start, table)
        for start in range(0, int(partials.frame.max(initial=-1)), CHUNK)
    ]
    mine = np.concatenate(found) if found else np.zeros(0, np.int64)
    weight = steadiness(partials)[mine]
    return SteadyTones(cents=partials.cents[mine][weight > 0.0], weight=weight[weight > 0.0])


def _tones_between(partials: Partials, start: int, table: NDArray[np.float32]) -> NDArray[np.int64]:
    """Indices of those in the CHUNK frames from `start`; `table` holds pitch by frame and cell."""
    first, last, after = np.searchsorted(partials.frame, (start, start + CHUNK, start + CHUNK + 1))
    hz = partials.hz[first:after]
    cents = 1200.0 * np.log2(hz / 440.0)
    place = np.maximum(np.round((cents - LOWEST_CENTS) / CELL_CENTS).astype(np.int64), 0) + 1
    place += (partials.frame[first:after] - start) * _COLUMNS
    table.fill(np.nan)
    for shift in (-1, 1, 0):
        table[place + shift] = cents
    low = np.flatnonzero(hz[: last - first] < TOP_HZ)
    low = low[np.abs(table[place[low] + _COLUMNS] - cents[low]) < STEADY_CENTS]
    cents, place = cents[low], place[low]
    overtones = np.zeros(low.size, np.int64)
    for order in ORDERS:
        above = 1200.0 * math.log2(order)
        overtones += np.abs(table[place + round(above / CELL_CENTS)] - cents - above) < SERIES_CENTS
    return np.asarray(low[overtones >= OVERTONES] + first, np.int64)


def agreeing_cells(heard: PitchHistogram) -> float:
    """Effective number of pitch classes times ten seconds that agree on one grid: 1 by chance."""
    # A matrix product would be as short, but it wakes BLAS's threads, which cost more than all the rest.
    return _agreeing(np.fft.rfft(heard.counts, axis=2)[:, :, 1].ravel())


def _agreeing(voices: NDArray[np.complex128]) -> float:
    """Squared length of the sum of `voices` over what independent directions would give."""
    return float(abs(voices.sum()) ** 2 / max(float((np.abs(voices) ** 2).sum()), 1e-300))

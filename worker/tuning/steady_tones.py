"""Counts how many notes, each on its own, agree on one semitone grid.

Drums, machines and speech also ring, and some of their peaks lie on a grid by chance. They lack steady tones
with harmonics: the modes of drums are inharmonic, and voices glide.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.tuning.pitch_histogram import PitchHistogram
from worker.tuning.spectral.peak_table import CELL_CENTS, LOWEST_CENTS
from worker.tuning.spectral.peaks import HIGHEST_HZ, LOWEST_HZ, SpectralPeaks
from worker.tuning.temperaments import Temperament

MAX_FUNDAMENTAL_HZ = 1500.0
"""Higher fundamentals are rare, and their partials lie above the analysed band."""
ORDERS = (2, 3, 4, 5, 6)
MIN_PARTIALS = 3
"""Partials of ORDERS that must exist: an octave or a fifth in a chord gives two. 2 and 4 separate notes from
drums less well."""
PARTIAL_CENTS = 13.0
"""Tolerance for a partial: twice the stretch of a piano in its middle octave."""
STEADY_CENTS = 4.0
"""Maximum change to the next frame, 0.1 s later: voices move ten times as far, and vibrato is slow only at
its turning points. 2.5 and 6 give the same result."""
CHUNK = 64
"""Frames per table: the table stays in the CPU cache."""
DOUBLED_PHASE = 4j * np.pi / 100.0
"""Two turns per semitone: a note a quarter-tone off agrees, a note an eighth-tone off disagrees."""

_COLUMNS = math.ceil((1200.0 * math.log2(HIGHEST_HZ / LOWEST_HZ) + 50.0) / CELL_CENTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SteadyTones:
    """Steady harmonic tones, one entry per frame; arrays of shape (n,)."""

    cents: NDArray[np.float64]
    """Fundamental, from 440 Hz."""
    weight: NDArray[np.float64]

    def rayleigh(self, temperament: Temperament | None = None) -> float:
        """Effective number of MIDI notes that agree (Rayleigh test): 1 by chance, 0 without tones.

        Each note counts once however often it sounds, and less if its own tones disagree. With a
        `temperament`, its steps count as equal.
        """
        cents = self.cents
        if temperament is not None:
            distance = (cents[:, None] - temperament.a_cents - temperament.cents_over_a + 600.0) % 1200.0
            step = np.abs(distance - 600.0).argmin(axis=1)
            cents = cents - (temperament.cents_over_a - 100.0 * np.arange(12))[step]
        note = np.clip(np.round(cents / 100.0).astype(np.int64) + 69, 0, 127)
        phasor = self.weight * np.exp(DOUBLED_PHASE * cents)
        return _rayleigh(np.bincount(note, phasor.real, 128) + 1j * np.bincount(note, phasor.imag, 128))


def find_steady_tones(peaks: SpectralPeaks) -> SteadyTones:
    """Peaks with harmonics that keep their pitch until the next frame."""
    table = np.empty((CHUNK + 1) * _COLUMNS, np.float32)
    found = [
        _steady_between(peaks, start, table) for start in range(0, int(peaks.frame.max(initial=-1)), CHUNK)
    ]
    steady = np.concatenate(found) if found else np.zeros(0, np.int64)
    weight = peaks.salience[steady].astype(np.float64)
    return SteadyTones(cents=peaks.cents[steady][weight > 0.0], weight=weight[weight > 0.0])


def _steady_between(peaks: SpectralPeaks, start: int, table: NDArray[np.float32]) -> NDArray[np.int64]:
    """Indices of steady tones in CHUNK frames from `start`; `table` is scratch space."""
    first, last, after = np.searchsorted(peaks.frame, (start, start + CHUNK, start + CHUNK + 1))
    hz, cents = peaks.hz[first:after], peaks.cents[first:after]
    cell = np.round((cents - LOWEST_CENTS) / CELL_CENTS).astype(np.int64) + 1
    # Pitch without its wow may lie outside the band.
    cell = np.clip(cell, 1, _COLUMNS - 2)
    cell += (peaks.frame[first:after] - start) * _COLUMNS
    table.fill(np.nan)
    for shift in (-1, 1, 0):
        table[cell + shift] = cents
    low = np.flatnonzero(hz[: last - first] < MAX_FUNDAMENTAL_HZ)
    low = low[np.abs(table[cell[low] + _COLUMNS] - cents[low]) < STEADY_CENTS]
    cents, cell = cents[low], cell[low]
    partials = np.zeros(low.size, np.int64)
    for order in ORDERS:
        interval = 1200.0 * math.log2(order)
        partials += np.abs(table[cell + round(interval / CELL_CENTS)] - cents - interval) < PARTIAL_CENTS
    return np.asarray(low[partials >= MIN_PARTIALS] + first, np.int64)


def cell_rayleigh(histogram: PitchHistogram) -> float:
    """Effective number of cells (pitch class by ten seconds) that agree on one grid: 1 by chance."""
    # A matrix product would be as short, but starting the threads of BLAS costs more than the analysis.
    return _rayleigh(np.fft.rfft(histogram.counts, axis=2)[:, :, 1].ravel())


def _rayleigh(resultants: NDArray[np.complex128]) -> float:
    """Squared length of the sum of `resultants` over its expectation for independent directions."""
    return float(abs(resultants.sum()) ** 2 / max(float((np.abs(resultants) ** 2).sum()), 1e-300))

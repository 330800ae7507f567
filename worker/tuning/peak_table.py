"""Which peak lies where: a row a frame, a column each few cents. Knows pitches, not notes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.tuning.peaks import LOWEST_HZ

LOWEST_CENTS = float(1200.0 * np.log2(LOWEST_HZ / 440.0))
CELL_CENTS = 12.0
"""Half of three cells, 18 cents, is how far a peak may stray and still be the one looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakTable:
    """Finds the peaks of the same frame, or of the one before, at a given distance in pitch."""

    columns: int
    """Of which the first is empty."""
    place: NDArray[np.float64]
    """Where each peak lies, in columns, shape (n,)."""
    row: NDArray[np.int64]
    """Where the frame of each peak begins in `peak`, shape (n,)."""
    flat: NDArray[np.int64]
    """Place of each peak in `peak`, shape (n,)."""
    peak: NDArray[np.int32]
    """Index of the peak in or next to each cell, or -1; shape (frames * columns,)."""

    def lower(self, cents: float) -> NDArray[np.int32]:
        """For each peak, the one of its frame that lies `cents` below it, or -1; shape (n,)."""
        column = np.maximum(self.place + (0.5 - cents / CELL_CENTS), 0.0).astype(np.int64)
        return np.asarray(self.peak[self.row + column], np.int32)

    def earlier(self) -> NDArray[np.int32]:
        """For each peak, the one that lay there in the frame before, or -1; shape (n,)."""
        first = self.flat < self.columns
        return np.where(first, np.int32(-1), self.peak[np.maximum(self.flat - self.columns, 0)])

    def age(self, most: int, struck: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Frames in a row, this one included, in which a peak lay here; 1 to `most`, shape (n,).

        Peaks that are `struck`, shape (n,), are young again.
        """
        earlier = self.earlier()
        if struck is not None:
            earlier[struck] = -1
        age = np.ones(self.flat.size, np.int64)
        at = earlier
        for _ in range(most - 1):
            found = at >= 0
            age += found
            at = np.where(found, earlier[at], np.int32(-1))
        return age


def lay_out(cents: NDArray[np.float64], frame: NDArray[np.int32], frames: int) -> PeakTable:
    """The table of peaks at `cents` from 440 Hz in `frame`, both of shape (n,), of `frames` in all."""
    place = np.maximum((cents - LOWEST_CENTS) / CELL_CENTS, 0.0) + 2.0
    cell = np.round(place).astype(np.int64)
    columns = int(cell.max(initial=0)) + 3
    row = frame.astype(np.int64) * columns
    flat = row + cell
    peak = np.full(frames * columns, -1, np.int32)
    for shift in (-1, 1, 0):
        peak[flat + shift] = np.arange(cents.size, dtype=np.int32)
    return PeakTable(columns=columns, place=place, row=row, flat=flat, peak=peak)

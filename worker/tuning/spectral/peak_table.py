"""Looks up spectral peaks by frame and pitch: one row per frame, one column per 12 cents."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.tuning.spectral.peaks import LOWEST_HZ

LOWEST_CENTS = float(1200.0 * np.log2(LOWEST_HZ / 440.0))
CELL_CENTS = 12.0
"""A peak also fills the neighbouring cells, so it is found up to 18 cents from the requested pitch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakTable:
    """Finds peaks at a given interval in the same frame, or at the same pitch in the frame before."""

    columns: int
    """Columns per row; the first is empty."""
    column: NDArray[np.float64]
    """Fractional column of each peak, shape (n,)."""
    row_start: NDArray[np.int64]
    """Index in `peak_at` where the frame of each peak begins, shape (n,)."""
    cell: NDArray[np.int64]
    """Index of each peak in `peak_at`, shape (n,)."""
    peak_at: NDArray[np.int32]
    """Index of the peak in or next to each cell, or -1; shape (frames * columns,)."""

    def peak_below(self, cents: float) -> NDArray[np.int32]:
        """For each peak, the index of the peak `cents` below it in the same frame, or -1; shape (n,)."""
        column = self.column + (0.5 - cents / CELL_CENTS)
        cell = np.maximum(column, 0.0, out=column).astype(np.int64)
        cell += self.row_start
        return np.asarray(self.peak_at[cell], np.int32)

    def previous_peak(self) -> NDArray[np.int32]:
        """For each peak, the index of the peak at its pitch in the frame before, or -1; shape (n,)."""
        first = self.cell < self.columns
        return np.where(first, np.int32(-1), self.peak_at[np.maximum(self.cell - self.columns, 0)])

    def age(self, max_frames: int, onsets: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Consecutive frames, including this one, with a peak at this pitch; 1 to `max_frames`, shape (n,).

        Counting restarts at `onsets`, shape (n,).
        """
        previous = self.previous_peak()
        if onsets is not None:
            previous[onsets] = -1
        age = np.ones(self.cell.size, np.int64)
        current = previous
        for _ in range(max_frames - 1):
            exists = current >= 0
            age += exists
            current = np.where(exists, previous[current], np.int32(-1))
        return age


def make_peak_table(cents: NDArray[np.float64], frame: NDArray[np.int32], frame_count: int) -> PeakTable:
    """The table of peaks at `cents` from 440 Hz in frames `frame`, both of shape (n,)."""
    column = np.maximum((cents - LOWEST_CENTS) / CELL_CENTS, 0.0) + 2.0
    nearest = np.round(column).astype(np.int64)
    columns = int(nearest.max(initial=0)) + 3
    row_start = frame.astype(np.int64) * columns
    cell = row_start + nearest
    peak_at = np.full(frame_count * columns, -1, np.int32)
    for shift in (-1, 1, 0):
        peak_at[cell + shift] = np.arange(cents.size, dtype=np.int32)
    return PeakTable(columns=columns, column=column, row_start=row_start, cell=cell, peak_at=peak_at)

"""The steady sine-like partials of a low band, frame by frame. Knows frequencies, not notes."""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from worker.lowband import LowBand

LOWEST_HZ = 32.0
"""Below C1 a semitone is narrower than 2 Hz: no window of under a second tells notes apart."""
HIGHEST_HZ = 4600.0
PROMINENCE_DB = 10.0
"""A peak must stand this far over the local mean of the log spectrum; noise seldom does."""
QUIET_DB = 45.0
"""Frames this far under the loud ones hold reverberation and hiss."""
FAINTEST_DB = -85.0
"""Under the peak sample: below lies the rounding of 16 bits and of our own arithmetic."""
FLOOR_HZ = 90.0
"""Width of the local mean that peaks are compared with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partials:
    """Spectral peaks, all arrays of shape (n,), ordered by frame, then frequency."""

    frame: NDArray[np.int32]
    hz: NDArray[np.float64]
    """Reassigned (instantaneous) frequency."""
    level_db: NDArray[np.float32]
    """Amplitude of the sine, dB under the recording's peak."""
    prominence_db: NDArray[np.float32]
    frames: int
    """Number of frames looked at, quiet ones included."""
    hop_seconds: float
    bin_hz: float
    mean_power: NDArray[np.float64]
    """Hann power per bin summed over all frames, for pictures; shape (bins,)."""
    first_bin: int


def find_partials(low: LowBand, *, window_seconds: float, overlap: int) -> Partials:
    """Peaks of the Hann spectrum, with reassigned frequencies.

    One rectangular FFT a frame serves both: the Hann spectrum is W[k] = X[k]/2 - (X[k-1] + X[k+1])/4,
    and for a sine the offset from bin k is Re((X[k-1] - X[k+1]) / W[k]) / 4 bins (Auger & Flandrin
    1995, the reassignment written for a Hann window; better than 1e-5 bin for a lone sine).
    """
    size = scipy.fft.next_fast_len(round(window_seconds * low.rate_hz), real=True)
    hop = max(1, size // overlap)
    bin_hz = low.rate_hz / size
    first = max(2, int(LOWEST_HZ / bin_hz) - 1)
    last = min(size // 2 - 1, int(HIGHEST_HZ / bin_hz) + 1)
    width = max(5, round(FLOOR_HZ / bin_hz))
    views = (
        np.lib.stride_tricks.sliding_window_view(low.samples, size)[::hop]
        if low.samples.size >= size
        else low.samples[:0].reshape(0, size)
    )
    power_sum = np.zeros(max(0, last - first), np.float64)
    found: list[tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float32], NDArray[np.float32]]] = []
    for start in range(0, len(views), 32):
        x = scipy.fft.rfft(views[start : start + 32], axis=1)[:, first - 1 : last + 1]
        w = x[:, :-2] + x[:, 2:]
        w *= np.float32(-1 / size)
        w += np.float32(2 / size) * x[:, 1:-1]
        power = w.real**2
        power += w.imag**2
        power_sum += power.sum(axis=0)
        level = np.log10(power + np.float32(1e-12))
        level *= np.float32(10)
        floor = uniform_filter1d(level, width, axis=1, mode="nearest")
        mid = level[:, 1:-1]
        rows, cols = np.nonzero(
            (mid > level[:, :-2]) & (mid >= level[:, 2:]) & (mid > floor[:, 1:-1] + PROMINENCE_DB)
        )
        cols += 1
        offset = ((x[rows, cols] - x[rows, cols + 2]) / w[rows, cols]).real / size
        good = (np.abs(offset) < 1.0) & (level[rows, cols] > FAINTEST_DB)
        rows, cols, offset = rows[good], cols[good], offset[good]
        found.append(
            (
                (rows + start).astype(np.int32),
                (cols + first + offset.astype(np.float64)) * bin_hz,
                level[rows, cols],
                level[rows, cols] - floor[rows, cols],
            )
        )
    if not found:
        found.append((np.zeros(0, np.int32), np.zeros(0), np.zeros(0, np.float32), np.zeros(0, np.float32)))
    frame, hz, lev, prom = (np.concatenate(c) for c in zip(*found, strict=True))
    return Partials(
        frame=frame,
        hz=hz,
        level_db=lev,
        prominence_db=prom,
        frames=len(views),
        hop_seconds=hop / low.rate_hz,
        bin_hz=bin_hz,
        mean_power=power_sum,
        first_bin=first,
    )

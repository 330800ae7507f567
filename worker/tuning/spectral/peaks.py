"""Picks the spectral peaks of each frame, with reassigned frequencies."""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from worker.tuning.spectral.resample import ResampledAudio

LOWEST_HZ = 32.0
"""Below C1 a semitone is narrower than 2 Hz: a window shorter than a second can't separate notes."""
HIGHEST_HZ = 4600.0
PROMINENCE_DB = 10.0
"""Minimum height of a peak above the local mean of the log spectrum; peaks of noise are rarely higher."""
FAINTEST_DB = -85.0
"""Minimum level relative to the peak sample: below it lies 16-bit and float32 rounding noise."""
FLOOR_HZ = 90.0
"""Width of the moving mean that estimates the noise floor."""
CHUNK = 32
"""Frames per FFT call: the spectra stay in the CPU cache, and memory use is constant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectralPeaks:
    """Spectral peaks, all arrays of shape (n,), ordered by frame, then frequency."""

    frame: NDArray[np.int32]
    hz: NDArray[np.float64]
    """Reassigned (instantaneous) frequency."""
    level_db: NDArray[np.float32]
    """Amplitude of the sinusoid in dB, relative to the peak of the loud blocks."""
    prominence_db: NDArray[np.float32]
    """Height above the local mean of the log spectrum."""
    frequency_error_cents: NDArray[np.float64]
    """Largest difference between three frequency estimates: about 0 for a single stationary sinusoid."""
    damping: NDArray[np.float32]
    """Imaginary part of the reassigned bin: 0 for a stationary tone, large at onsets and offsets."""
    frame_count: int
    """Number of analysed frames, including quiet ones."""
    hop_seconds: float
    bin_hz: float
    power_spectrum: NDArray[np.float64]
    """Power spectrum (Hann window) summed over all frames, for charts; shape (bins,)."""
    first_bin: int

    @property
    def cents(self) -> NDArray[np.float64]:
        """Pitch in cents from 440 Hz."""
        return np.asarray(1200.0 * np.log2(self.hz / 440.0), np.float64)


def find_peaks(audio: ResampledAudio, *, window_seconds: float, overlap: int) -> SpectralPeaks:
    """Picks peaks of the Hann spectrum and reassigns their frequencies.

    One rectangular FFT per frame gives both: the Hann spectrum is W[k] = X[k]/2 - (X[k-1] + X[k+1])/4,
    and for a (damped) sine at bin k + z, z = (X[k-1] - X[k+1]) / W[k] / 4 (reassignment,
    Auger and Flandrin 1995, for a Hann window; error below 1e-5 bin for a single sinusoid). The ratios of
    neighbouring Hann bins, W[k+1]/W[k] = (z + 1)/(z - 2), give two more estimates of z. Where the three
    disagree, another component lies in the same bins.
    """
    size = scipy.fft.next_fast_len(round(window_seconds * audio.rate_hz), real=True)
    hop = max(1, size // overlap)
    bin_hz = audio.rate_hz / size
    first = max(2, int(LOWEST_HZ / bin_hz) - 1)
    last = max(first + 8, min(size // 2 - 1, int(HIGHEST_HZ / bin_hz) + 1))
    width = max(5, round(FLOOR_HZ / bin_hz))
    power_sum = np.zeros(last - first, np.float64)
    columns: list[list[NDArray[np.float64]]] = [[] for _ in range(6)]
    frame_count = max(0, (audio.samples.size - size) // hop + 1)
    for start in range(0, frame_count, CHUNK):
        stop = min(start + CHUNK, frame_count)
        views = np.lib.stride_tricks.sliding_window_view(audio.samples, size)[start * hop : stop * hop : hop]
        x = scipy.fft.rfft(views, axis=1)[:, first - 1 : last + 1]
        for column, values in zip(columns, _peaks(x, size, width, power_sum), strict=True):
            column.append(values)
        columns[0][-1] += start
        columns[1][-1] = (columns[1][-1] + first) * bin_hz
    frame, hz, level, prominence, blur, damping = (
        np.concatenate(column) if column else np.zeros(0) for column in columns
    )
    return SpectralPeaks(
        frame=frame.astype(np.int32),
        hz=hz,
        level_db=level.astype(np.float32),
        prominence_db=prominence.astype(np.float32),
        frequency_error_cents=blur * bin_hz / np.maximum(hz, 1.0) * (1200.0 / np.log(2.0)),
        damping=damping.astype(np.float32),
        frame_count=frame_count,
        hop_seconds=hop / audio.rate_hz,
        bin_hz=bin_hz,
        power_spectrum=power_sum,
        first_bin=first,
    )


def _peaks(
    x: NDArray[np.complex64], size: int, width: int, power_sum: NDArray[np.float64]
) -> tuple[NDArray[np.float64], ...]:
    """Frame, bin, level, prominence, frequency error in bins and damping of each peak, shape (n,) each.

    `x` holds rectangular spectra of `size` samples, shape (frames, bins + 2). Adds their Hann power to
    `power_sum`. The noise floor is a mean over `width` bins.
    """
    w = x[:, :-2] + x[:, 2:]
    w *= np.float32(-1 / size)
    w += np.float32(2 / size) * x[:, 1:-1]
    power = w.real**2
    power += w.imag**2
    power_sum += power.sum(axis=0)
    level = np.log10(power + np.float32(1e-12))
    level *= np.float32(10)
    floor = uniform_filter1d(level, width, axis=1, mode="nearest")
    middle = level[:, 1:-1]
    rows, cols = np.nonzero(
        (middle > level[:, :-2])
        & (middle >= level[:, 2:])
        & (middle > floor[:, 1:-1] + PROMINENCE_DB)
        & (middle > FAINTEST_DB)
    )
    cols += 1
    peak = w[rows, cols]
    offset = (x[rows, cols] - x[rows, cols + 2]) / peak / size
    above, below = w[rows, cols + 1] / peak, w[rows, cols - 1] / peak
    spread = np.maximum(
        np.abs(((2 * above + 1) / (above - 1)).real - offset.real),
        np.abs(((2 * below + 1) / (1 - below)).real - offset.real),
    )
    valid = np.abs(offset.real) < 1.0
    rows, cols, offset, spread = rows[valid], cols[valid], offset[valid], spread[valid]
    return (
        rows.astype(np.float64),
        np.asarray(cols + offset.real.astype(np.float64), np.float64),
        level[rows, cols].astype(np.float64),
        (level[rows, cols] - floor[rows, cols]).astype(np.float64),
        spread.astype(np.float64),
        np.abs(offset.imag).astype(np.float64),
    )

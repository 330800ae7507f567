"""Picks the spectral peaks of each frame, with reassigned frequencies."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

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
QUIET_DB = 45.0
"""Peaks this far below the loud ones are reverberation and hiss."""
FLOOR_HZ = 90.0
"""Width of the moving mean that estimates the noise floor."""
CHUNK = 32
"""Frames per FFT call: the spectra stay in the CPU cache, and memory use is constant."""
_NO_PEAKS: tuple[NDArray[Any], ...] = tuple(
    np.zeros(0, kind) for kind in (np.int32, np.int32, np.float32, np.float32, np.complex64, np.float32)
)
"""What `_pick` finds in silence."""


@dataclass(frozen=True, kw_only=True)
class SpectralPeaks:
    """Spectral peaks, all arrays of shape (n,), ordered by frame, then frequency.

    Has no slots, so that it keeps what most steps of the analysis need and what takes long to compute.
    """

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

    @cached_property
    def cents(self) -> NDArray[np.float64]:
        """Pitch in cents from 440 Hz."""
        return np.asarray(1200.0 * np.log2(self.hz / 440.0), np.float64)

    @cached_property
    def salience(self) -> NDArray[np.float32]:
        """dB above the noise floor, clipped, and 0 for quiet peaks. Amplitude has no influence."""
        if self.hz.size == 0:
            return np.zeros(0, np.float32)
        salience = np.clip(self.prominence_db - 8.0, 0.0, 25.0)
        salience *= self.level_db > np.quantile(self.level_db, 0.95) - QUIET_DB
        return np.asarray(salience, np.float32)

    @cached_property
    def power(self) -> NDArray[np.float64]:
        """Power relative to that of the loud blocks' peak."""
        return np.asarray(10.0 ** (self.level_db.astype(np.float64) / 10.0), np.float64)


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
    chunks: list[tuple[NDArray[Any], ...]] = [_NO_PEAKS]
    frames = _frames(audio.samples, size, hop)
    for start in range(0, len(frames), CHUNK):
        spectra = scipy.fft.rfft(frames[start : start + CHUNK], axis=1, norm="forward")
        frame, *rest = _pick(spectra, slice(first, last), width, power_sum)
        chunks.append((frame + np.int32(start), *rest))
    frame, bin_, level, prominence, offset, spread = map(np.concatenate, zip(*chunks, strict=True))
    valid = np.flatnonzero((np.abs(offset.real) < 1.0) & (level > FAINTEST_DB))
    spread_hz = spread[valid].astype(np.float64) * bin_hz
    hz = np.asarray((bin_[valid] + offset.real[valid].astype(np.float64) + first) * bin_hz, np.float64)
    return SpectralPeaks(
        frame=frame[valid].astype(np.int32),
        hz=hz,
        level_db=level[valid],
        prominence_db=prominence[valid],
        frequency_error_cents=spread_hz / np.maximum(hz, 1.0) * (1200.0 / np.log(2.0)),
        damping=np.abs(offset.imag[valid]),
        frame_count=len(frames),
        hop_seconds=hop / audio.rate_hz,
        bin_hz=bin_hz,
        power_spectrum=power_sum,
        first_bin=first,
    )


def _frames(samples: NDArray[np.float32], size: int, hop: int) -> NDArray[np.float32]:
    """Overlapping views of `samples`, shape (frames, size); none of fewer samples."""
    if samples.size < size:
        return np.zeros((0, size), np.float32)
    return np.lib.stride_tricks.sliding_window_view(samples, size)[::hop]


def _pick(
    spectra: NDArray[np.complex64], band: slice, width: int, power_sum: NDArray[np.float64]
) -> tuple[NDArray[Any], ...]:
    """Frame, bin of `band`, level, prominence and what `_reassign` finds of each peak, shape (n,) each.

    `spectra` are rectangular spectra over their size, shape (frames, all bins). Adds the Hann power of the
    band to `power_sum`. The noise floor is a mean over `width` bins.
    """
    # Real and imaginary parts as pairs of numbers, because numpy is slow to multiply complex ones.
    pairs = spectra[:, band.start - 1 : band.stop + 1].view(np.float32)
    w = 2.0 * pairs[:, 2:-2]
    w -= pairs[:, :-4]
    w -= pairs[:, 4:]
    w *= w
    power = w[:, ::2] + w[:, 1::2]
    power_sum += power.sum(axis=0)
    power += np.float32(1e-12)
    level = np.log(power, out=power)  # log10 of float32 takes six times as long
    level *= np.float32(10.0 / math.log(10.0))
    floor = uniform_filter1d(level, width, axis=1, mode="nearest")
    is_peak = level > floor + np.float32(PROMINENCE_DB)
    rises = level[:, 1:] > level[:, :-1]
    is_peak[:, 1:] &= rises
    is_peak[:, :-1] &= ~rises
    is_peak[:, [0, -1]] = False
    # Indices of the flat arrays: with two dimensions, nonzero() and indexing take several times as long.
    index = np.flatnonzero(is_peak)
    frame = index // level.shape[1]
    bin_ = index - frame * level.shape[1]
    picked = level.reshape(-1)[index]
    prominence = picked - floor.reshape(-1)[index]
    around = frame * spectra.shape[1] + bin_ + (band.start + np.arange(-2, 3))[:, None]
    reassigned = _reassign(spectra.reshape(-1)[around])
    return frame.astype(np.int32), bin_.astype(np.int32), picked, prominence, *reassigned


def _reassign(x: NDArray[np.complex64]) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Distance of each sine from its bin, and its largest difference to two more estimates, in bins.

    `x` holds the rectangular bins k - 2 to k + 2 around each peak k, shape (5, n).
    """
    below, peak, above = (x[1:-1] + x[1:-1]) - x[:-2] - x[2:]
    offset = (x[1] - x[3]) / peak
    # With r = W[k+1]/W[k], z = (2r + 1)/(r - 1) = 2 + 3/(r - 1); W[k-1] mirrors it.
    from_above = 2.0 + 3.0 * (peak / (above - peak)).real
    from_below = 3.0 * (peak / (peak - below)).real - 2.0
    spread = np.maximum(np.abs(from_above - offset.real), np.abs(from_below - offset.real))
    return offset, spread

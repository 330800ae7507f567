"""Cleans mono samples and resamples them to about 11 kHz."""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

TARGET_RATE_HZ = 11025.0
"""Partials above 5 kHz are weak, inharmonic and blurred by vibrato, so they add nothing to the estimate."""
BLOCK = 8192
"""Output samples per overlap-save block: small enough for the processor's cache."""
GUARD = 512
"""Output samples dropped at either end of a block, where the circular convolution wraps round."""
SILENCE_PEAK = 1e-6
"""-120 dBFS, below the smallest step of 24-bit audio."""
GLITCH_RATIO = 1e6
"""A sample 120 dB above the loud blocks' peaks is a decoding error, not music."""

_TOP = np.clip((np.arange(BLOCK // 2 + 1) / (BLOCK // 2) - 0.84) / 0.15, 0.0, 1.0)
_TAPER = (0.5 + 0.5 * np.cos(np.pi * _TOP)).astype(np.float32)
"""Gain per bin of a block: flat, then a raised cosine over the top sixth against aliasing."""

_MIN_LEVELS_TO_CLIP = 16
"""Distinct magnitudes near the loudest sample. Clipped music has hundreds, in 8 bits too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResampledAudio:
    """Samples of peak about 1 at `rate_hz`, free of NaN and Inf."""

    samples: NDArray[np.float32]
    """Shape (n,)."""
    rate_hz: float
    clipped: bool


def resample(samples: NDArray[np.float32], sample_rate: int) -> ResampledAudio:
    """Cleans, normalizes and decimates `samples`, shape (n,); NaN, Inf and glitches become silence.

    Decimates in the frequency domain (overlap-save): each block keeps the low bins of its spectrum, so any
    sample rate is reduced by an exactly known ratio for two short transforms per block.
    """
    peaks = _block_peaks(samples)
    peak = float(np.quantile(peaks, 0.9)) if peaks.size else 0.0
    if peak < SILENCE_PEAK and peaks.size:
        peak = float(peaks.max())
    if peak < SILENCE_PEAK:
        return ResampledAudio(samples=np.zeros(0, np.float32), rate_hz=float(sample_rate), clipped=False)
    ratio = _ratio(sample_rate)
    block = np.zeros(ratio * BLOCK // 4, np.float32)
    guard = ratio * GUARD // 4
    step = block.size - 2 * guard
    gain = np.float32(1 / peak)
    taper = _TAPER * np.float32(4 / ratio)
    out = np.empty(-(-samples.size // step) * (BLOCK - 2 * GUARD), np.float32)
    for index, start in enumerate(range(0, samples.size, step)):
        low, high = max(0, start - guard), min(samples.size, start - guard + block.size)
        lead = low - (start - guard)
        block[:lead] = 0.0
        block[lead + high - low :] = 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            np.multiply(samples[low:high], gain, out=block[lead : lead + high - low])
            if not max(block.max(), -block.min()) <= GLITCH_RATIO:
                block[~(np.abs(block) <= GLITCH_RATIO)] = 0.0
        half = scipy.fft.rfft(block)[: BLOCK // 2 + 1] * taper
        target = slice(index * (BLOCK - 2 * GUARD), (index + 1) * (BLOCK - 2 * GUARD))
        out[target] = scipy.fft.irfft(half, BLOCK)[GUARD:-GUARD]
    return ResampledAudio(
        samples=out[: samples.size * 4 // ratio],
        rate_hz=sample_rate * 4 / ratio,
        clipped=_is_clipped(samples, peaks),
    )


def _ratio(sample_rate: int) -> int:
    """Input samples per four output samples: as many as TARGET_RATE_HZ allows, without primes over 7."""
    ratio = max(4, int(4 * sample_rate / TARGET_RATE_HZ))
    while scipy.fft.next_fast_len(ratio, real=True) != ratio:
        ratio -= 1
    return ratio


def _is_clipped(samples: NDArray[np.float32], peaks: NDArray[np.float64]) -> bool:
    """Whether the loudest samples stay at one level for several samples, in several places.

    Very quiet recordings do that as well, because they have only a few levels.
    """
    ceiling = 0.9999 * float(peaks.max())
    loudest = np.flatnonzero(peaks >= ceiling)
    first = samples[loudest[0] * 4096 : (loudest[0] + 1) * 4096]
    if np.unique(np.abs(first)).size < _MIN_LEVELS_TO_CLIP:
        return False
    flat = 0
    for index in loudest[:: max(1, loudest.size // 16)]:
        share = samples[index * 4096 : (index + 1) * 4096]
        flat += int(np.count_nonzero((np.abs(share[1:]) >= ceiling) & (share[1:] == share[:-1])))
    return loudest.size >= 4 and flat >= 4 * min(16, loudest.size)


def _block_peaks(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Largest finite magnitude of each block of 4096 samples, shape (blocks,)."""
    peaks = []
    for start in range(0, samples.size, 4096):
        share = samples[start : start + 4096]
        top = max(float(share.max()), -float(share.min()))
        if not np.isfinite(top):
            share = share[np.isfinite(share)]
            top = max(float(share.max()), -float(share.min())) if share.size else 0.0
        peaks.append(top)
    return np.asarray(peaks, np.float64)

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
BATCH = 4
"""Blocks per FFT call: pocketfft transforms four rows of float32 for less than the price of two."""
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
    peaks, has_only_numbers = _block_peaks(samples)
    peak = float(np.quantile(peaks, 0.9)) if peaks.size else 0.0
    if peak < SILENCE_PEAK and peaks.size:
        peak = float(peaks.max())
    if peak < SILENCE_PEAK:
        return ResampledAudio(samples=np.zeros(0, np.float32), rate_hz=float(sample_rate), clipped=False)
    ratio = _ratio(sample_rate)
    has_glitches = not has_only_numbers or float(peaks.max()) > GLITCH_RATIO * peak
    guard = ratio * GUARD // 4
    twiddles = _twiddles(ratio)
    blocks = np.empty((BATCH, ratio * BLOCK // 4), np.float32)
    starts = range(-guard, samples.size - guard, blocks.shape[1] - 2 * guard)
    out = np.empty((len(starts), BLOCK - 2 * GUARD), np.float32)
    for index in range(0, len(starts), BATCH):
        batch = starts[index : index + BATCH]
        for block, start in zip(blocks, batch, strict=False):
            _fill(block, samples, start, np.float32(1 / peak), has_glitches=has_glitches)
        spectra = _low_bins(blocks[: len(batch)], twiddles)
        out[index : index + BATCH] = scipy.fft.irfft(spectra, BLOCK, axis=1)[:, GUARD:-GUARD]
    return ResampledAudio(
        samples=out.reshape(-1)[: samples.size * 4 // ratio],
        rate_hz=sample_rate * 4 / ratio,
        clipped=_is_clipped(samples, peaks),
    )


def _fill(
    block: NDArray[np.float32],
    samples: NDArray[np.float32],
    start: int,
    gain: np.float32,
    *,
    has_glitches: bool,
) -> None:
    """Writes `gain` times the samples from `start` to `block`, shape (n,); 0 outside and for glitches."""
    low, high = max(0, start), min(samples.size, start + block.size)
    block[: low - start] = 0.0
    block[high - start :] = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        np.multiply(samples[low:high], gain, out=block[low - start : high - start])
        if has_glitches:
            block[~(np.abs(block) <= GLITCH_RATIO)] = 0.0


def _twiddles(ratio: int) -> NDArray[np.complex64]:
    """Factors that put the spectra of `parts` interleaved parts of a block together; shape (parts, bins).

    Includes the taper and the scale. A part has at least BLOCK samples, so that it has every bin.
    """
    size = ratio * BLOCK // 4
    parts = next(parts for parts in range(ratio // 4, 0, -1) if size % parts == 0)
    turn = np.arange(parts)[:, None] * np.arange(BLOCK // 2 + 1) * (-2.0 * np.pi / size)
    angle = turn.astype(np.float32)
    twiddles = np.empty(angle.shape, np.complex64)
    np.cos(angle, out=twiddles.real)
    np.sin(angle, out=twiddles.imag)
    twiddles *= _TAPER * np.float32(4 / ratio)
    return twiddles


def _low_bins(blocks: NDArray[np.float32], twiddles: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """The lowest bins of the spectra of `blocks`, shape (n, size); shape (n, BLOCK // 2 + 1).

    Bins above are never computed: the first step of a transform that decimates in time (Cooley and Tukey
    1965) splits the block into interleaved parts with short spectra, which only the wanted bins combine.
    """
    parts, bins = twiddles.shape
    interleaved = blocks.reshape(len(blocks), -1, parts).transpose(0, 2, 1)
    spectra = scipy.fft.rfft(interleaved, axis=2)[:, :, :bins]
    low = spectra[:, 0] * twiddles[0]
    for part in range(1, parts):
        low += spectra[:, part] * twiddles[part]
    return np.asarray(low, np.complex64)


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


def _block_peaks(samples: NDArray[np.float32]) -> tuple[NDArray[np.float64], bool]:
    """Largest finite magnitude of each block of 4096 samples, shape (blocks,); whether all are finite."""
    whole = samples[: samples.size // 4096 * 4096].reshape(-1, 4096)
    rest = samples[whole.size :]
    tops = np.maximum(whole.max(axis=1), -whole.min(axis=1)).tolist()
    if rest.size:
        tops.append(max(float(rest.max()), -float(rest.min())))
    peaks = np.asarray(tops, np.float64)
    damaged = np.flatnonzero(~np.isfinite(peaks))
    for index in damaged:
        share = samples[index * 4096 : (index + 1) * 4096]
        share = share[np.isfinite(share)]
        peaks[index] = max(float(share.max()), -float(share.min())) if share.size else 0.0
    return peaks, damaged.size == 0

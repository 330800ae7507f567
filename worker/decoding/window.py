"""Mono blocks in, one preallocated stretch of clean samples out. Arithmetic only, whoever decoded them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr  # type: ignore[import-untyped] # ships no types
from numpy.typing import NDArray

from shared.errors import Undecodable

NO_AUDIO = "There is no audio in the file, or none where we listen."
MAX_RATE_HZ = 48_000
"""Faster recordings are resampled to exactly this: nothing that tells a tuning lies above 24 kHz."""
MIN_STORED_RATE_HZ = 4_000
MAX_STORED_RATE_HZ = 768_000
MAX_CHANNELS = 32

# The largest honest sample is that of 32-bit integers stored as floats; what is beyond is no sound.
_LOUDEST = 2.0**31
# Far below the noise of any converter. Denormal numbers make an FFT a hundred times slower.
_FAINTEST = 1e-20
_MAX_BAD_SHARE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One stretch of a recording, mixed down to mono and ready to be measured."""

    samples: NDArray[np.float32]
    """Within -1 to 1, all finite."""
    sample_rate: int
    """Hz, of *samples*: the stored rate, or 48,000 if that is higher."""
    stored_sample_rate: int
    """Hz, as stored in the file."""
    channels: int
    container: str
    codec: str
    duration_seconds: float | None
    """Of the whole recording as its header declares or estimates it: a claim, possibly false."""
    start_seconds: float
    """Where in the recording *samples* begins."""

    @property
    def seconds(self) -> float:
        """How long *samples* lasts."""
        return len(self.samples) / self.sample_rate


def check_format(*, channels: int, sample_rate: int) -> None:
    """Refuse what no recording has; raises `Undecodable`."""
    if not 1 <= channels <= MAX_CHANNELS:
        raise Undecodable(
            f"The file has {channels} channels; at most {MAX_CHANNELS} can be read.", code="channels"
        )
    if not MIN_STORED_RATE_HZ <= sample_rate <= MAX_STORED_RATE_HZ:
        raise Undecodable(
            f"The file has a sample rate of {sample_rate} Hz;"
            f" {MIN_STORED_RATE_HZ} to {MAX_STORED_RATE_HZ} Hz can be read.",
            code="sample_rate",
        )


def mix_down(block: NDArray[Any]) -> NDArray[np.float32]:
    """Return the mean of the channels of (channels, frames), or of (frames,) for one channel."""
    if block.ndim == 1:
        return block.astype(np.float32, copy=False)
    with np.errstate(over="ignore", invalid="ignore"):  # what is no number is dealt with by the window
        return np.asarray(block.mean(axis=0, dtype=np.float64), np.float32)


class Window:
    """Collects at most *seconds* of mono audio at one rate, that of the first block up to `MAX_RATE_HZ`."""

    def __init__(self, *, seconds: float, on_audio: Callable[[], None] = lambda: None) -> None:
        """Prepare to collect; *on_audio* is called with each block. Nothing is allocated before the first."""
        self._on_audio = on_audio
        self._seconds = seconds
        self._samples = np.empty(0, np.float32)
        self._count = 0
        self._bad = 0
        self._rate = 0
        self._block_rate = 0
        self._resampler: soxr.ResampleStream | None = None

    @property
    def wanted_seconds(self) -> float:
        """How much fits in."""
        return self._seconds

    @property
    def is_full(self) -> bool:
        """True when no further block is of use."""
        return self._rate > 0 and self._count == len(self._samples)

    def add(self, block: NDArray[np.float32], *, sample_rate: int) -> None:
        """Append *block*; one at another rate than the blocks before it is resampled to theirs."""
        self._on_audio()
        if sample_rate != self._block_rate:
            self._change_rate(sample_rate)
        clean = self._cleaned(block)
        self._append(self._resampler.resample_chunk(clean) if self._resampler else clean)

    def finish(self) -> tuple[NDArray[np.float32], int]:
        """Return the samples, scaled down to -1 to 1 if they were louder, and their rate in Hz.

        Raises `Undecodable` if there are none (`no_audio`) or too many are no numbers (`bad_samples`).
        """
        self._flush()
        if self._count == 0:
            raise Undecodable(NO_AUDIO, code="no_audio")
        if self._bad > _MAX_BAD_SHARE * self._count * self._block_rate / self._rate:
            raise Undecodable("Too many of the file's samples are no numbers.", code="bad_samples")
        samples = self._samples[: self._count]
        peak = max(float(samples.max()), -float(samples.min()))
        if peak > 1.0:
            samples /= np.float32(peak)
        return samples, self._rate

    def _change_rate(self, sample_rate: int) -> None:
        self._flush()
        if self._rate == 0:
            self._rate = min(sample_rate, MAX_RATE_HZ)
            self._samples = np.empty(round(self._seconds * self._rate), np.float32)
        self._block_rate = sample_rate
        if sample_rate != self._rate:
            # soxr's ratio is exact for any pair of rates, also block by block: pitch does not move.
            self._resampler = soxr.ResampleStream(sample_rate, self._rate, 1, dtype="float32", quality="HQ")

    def _flush(self) -> None:
        if self._resampler is not None:
            self._append(self._resampler.resample_chunk(np.empty(0, np.float32), last=True))
            self._resampler = None

    def _cleaned(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Silence what is no sound; a glitch should not cost the whole recording, so we count it first."""
        loudness = np.abs(block)
        fine = loudness <= _LOUDEST  # False for NaN too
        if not fine.all():
            self._bad += int(np.count_nonzero(~fine))
        return np.where(fine & (loudness >= _FAINTEST), block, np.float32(0))

    def _append(self, block: NDArray[np.float32]) -> None:
        taken = block[: len(self._samples) - self._count]
        self._samples[self._count : self._count + len(taken)] = taken
        self._count += len(taken)

"""Collects decoded blocks into one preallocated array of clean mono samples. Independent of decoders."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import soxr  # type: ignore[import-untyped] # ships no types
from numpy.typing import NDArray

from shared.domain.report import AudioTrack, DurationAccuracy
from worker.decoding.downmix import MAX_SAMPLE
from worker.file_problems import file_problem

MAX_RATE_HZ = 48_000
"""Recordings with a higher rate are resampled to this: nothing above 24 kHz helps to find a tuning."""
MIN_STORED_RATE_HZ = 4_000
MAX_STORED_RATE_HZ = 768_000
MAX_CHANNELS = 32
ONLY_TRACK = AudioTrack(index=1, count=1)

# Far below the noise of any converter. Denormal numbers make an FFT a hundred times slower.
_MIN_SAMPLE = 1e-20
_MAX_BAD_SHARE = 0.01
# Fewer samples than this, far above all others, are glitches and do not set the level.
_MAX_GLITCH_SHARE = 1e-5
_MIN_GLITCH_SAMPLES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Part of a recording, mixed down to mono and ready for analysis."""

    samples: NDArray[np.float32]
    """Shape (frames,), from -1 to 1, all finite."""
    sample_rate: int
    """Hz, of *samples*: the stored rate, or 48,000 if that is higher."""
    stored_sample_rate: int
    """Hz, as stored in the file."""
    channels: int
    container: str
    codec: str
    duration_seconds: float | None
    """Of the whole recording. Can be wrong unless `duration_accuracy` is exact."""
    start_seconds: float
    """Position of the first sample in the recording."""
    is_start_estimated: bool = False
    """True if *start_seconds* can be off by about a hundredth of the whole recording."""
    is_damaged: bool = False
    """True if decoding ended at damage, before the window was full."""
    duration_accuracy: DurationAccuracy = DurationAccuracy.UNKNOWN
    track: AudioTrack = ONLY_TRACK

    @property
    def seconds(self) -> float:
        """Duration of *samples*."""
        return len(self.samples) / self.sample_rate


def check_format(*, channels: int, sample_rate: int) -> None:
    """Check channels and sample rate. Raises Undecodable (`channels`, `sample_rate`)."""
    if not 1 <= channels <= MAX_CHANNELS:
        raise file_problem("too_many_channels", channels, MAX_CHANNELS)
    if not MIN_STORED_RATE_HZ <= sample_rate <= MAX_STORED_RATE_HZ:
        raise file_problem("sample_rate", sample_rate, MIN_STORED_RATE_HZ, MAX_STORED_RATE_HZ)


class Window:
    """Collects at most *seconds* of mono audio at one rate, that of the first block up to `MAX_RATE_HZ`."""

    def __init__(self, *, seconds: float, on_audio: Callable[[], None] = lambda: None) -> None:
        """Prepare to collect. Calls *on_audio* for each block. Allocates nothing before the first block."""
        self._on_audio = on_audio
        self._seconds = seconds
        self._samples = np.empty(0, np.float32)
        self._count = 0
        self._bad = 0
        self._rate = 0
        self._block_rate = 0
        self._resampler: soxr.ResampleStream | None = None

    @property
    def seconds(self) -> float:
        """Duration that fits in."""
        return self._seconds

    @property
    def is_full(self) -> bool:
        """True if no more samples fit in."""
        return self._rate > 0 and self._count == len(self._samples)

    def note_audio(self) -> None:
        """Report that what was read so far was of use, though it is not in the window."""
        self._on_audio()

    def add(self, block: NDArray[np.float32], *, sample_rate: int) -> None:
        """Append *block*, shape (frames,), resampled if its rate differs from that of the first block."""
        self._on_audio()
        if sample_rate != self._block_rate:
            self._change_rate(sample_rate)
        clean = self._clean(block)
        self._append(self._resampler.resample_chunk(clean) if self._resampler else clean)

    def finish(self) -> tuple[NDArray[np.float32], int]:
        """Return the samples, scaled to at most 1, and their rate in Hz.

        Raises:
            Undecodable: there are none (`no_audio`), or too many are NaN or infinite (`bad_samples`).
        """
        self._flush()
        if self._count == 0:
            raise file_problem("no_samples")
        if self._bad > _MAX_BAD_SHARE * self._count * self._block_rate / self._rate:
            raise file_problem("bad_samples")
        samples = self._samples[: self._count]
        peak = max(float(samples.max()), -float(samples.min()))
        if peak > 1.0:
            limit = np.float32(_peak_without_glitches(samples, peak))
            np.clip(samples, -limit, limit, out=samples)
            samples /= max(limit, np.float32(1.0))
        return samples, self._rate

    def _change_rate(self, sample_rate: int) -> None:
        self._flush()
        if self._rate == 0:
            self._rate = min(sample_rate, MAX_RATE_HZ)
            self._samples = np.empty(round(self._seconds * self._rate), np.float32)
        self._block_rate = sample_rate
        if sample_rate != self._rate:
            # soxr converts any pair of rates exactly, block by block, so the pitch does not shift.
            self._resampler = soxr.ResampleStream(sample_rate, self._rate, 1, dtype="float32", quality="HQ")

    def _flush(self) -> None:
        if self._resampler is not None:
            self._append(self._resampler.resample_chunk(np.empty(0, np.float32), last=True))
            self._resampler = None

    def _clean(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Replace invalid samples by zero and count them: a glitch must not cost the whole recording."""
        loudness = np.abs(block)
        is_valid = loudness <= MAX_SAMPLE  # False for NaN too
        if not is_valid.all():
            self._bad += int(np.count_nonzero(~is_valid))
        return np.where(is_valid & (loudness >= _MIN_SAMPLE), block, np.float32(0))

    def _append(self, block: NDArray[np.float32]) -> None:
        fitting = block[: len(self._samples) - self._count]
        self._samples[self._count : self._count + len(fitting)] = fitting
        self._count += len(fitting)


def _peak_without_glitches(samples: NDArray[np.float32], peak: float) -> float:
    """Halve *peak* until more than `_MAX_GLITCH_SHARE` of the samples are louder, then step back."""
    while peak > 1.0:
        louder = sum(int(np.count_nonzero(np.abs(part) > peak / 2)) for part in np.array_split(samples, 64))
        if louder > max(_MIN_GLITCH_SAMPLES, _MAX_GLITCH_SHARE * len(samples)):
            break
        peak /= 2
    return peak

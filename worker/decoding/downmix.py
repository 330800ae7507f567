"""Mixes channels down to mono so that channels of opposite phase do not cancel each other out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_SAMPLE = 2.0**31
"""Larger magnitudes are invalid. 32-bit integers stored as floats have the largest valid samples."""

_SMOOTHING_SECONDS = 0.5
# The mean is given up if its power falls below this share of what it would be without cancellation.
# For stereo, 0.4 means that the side (L - R) is four times as powerful as the mid (L + R).
_CANCELLED_SHARE = 0.4


class Downmix:
    """The mean of all channels, or the loudest channel as long as the mean cancels out.

    Keeps a smoothed power for each channel and nothing else, and crossfades over one block.
    """

    def __init__(self) -> None:
        self._powers = np.zeros(0)
        self._mean_power = 0.0
        self._loudest: int | None = None

    def mix(self, block: NDArray[Any], *, sample_rate: int) -> NDArray[np.float32]:
        """Mix a block of shape (channels, frames) or (frames,) down to shape (frames,).

        Invalid samples are left out. Frames without a valid sample become NaN.
        """
        if block.ndim == 1 or len(block) == 1:
            return np.asarray(block.reshape(-1), np.float32)
        missing = None
        if not _all_valid(block):
            with np.errstate(invalid="ignore"):
                is_valid = np.abs(block) <= MAX_SAMPLE  # False for NaN
            missing = ~is_valid.any(axis=0)
            block = np.where(is_valid, block, block.dtype.type(0))
        # One contiguous copy of each channel: NumPy is several times slower over interleaved samples.
        channels = [np.ascontiguousarray(channel, np.float64) for channel in block]
        mean = sum(channels[1:], start=channels[0]) / len(channels)
        mono = self._without_cancellation(channels, mean, sample_rate=sample_rate)
        if missing is not None:
            mono[missing] = np.nan
        return np.asarray(mono, np.float32)

    def _without_cancellation(
        self, channels: Sequence[NDArray[np.float64]], mean: NDArray[np.float64], *, sample_rate: int
    ) -> NDArray[np.float64]:
        previous = self._loudest
        is_first = len(self._powers) != len(channels)
        self._measure(channels, mean, sample_rate=sample_rate)
        uncancelled = len(channels) * self._mean_power
        power = float(self._powers.mean())
        if uncancelled < _CANCELLED_SHARE * power:
            if previous is None or self._powers[previous] < 0.25 * self._powers.max():
                self._loudest = int(self._powers.argmax())
        elif uncancelled >= power:
            self._loudest = None
        before = self._source(channels, mean, self._loudest if is_first else previous)
        after = self._source(channels, mean, self._loudest)
        if before is after or previous == self._loudest:
            return after
        fade = np.linspace(0.0, 1.0, len(mean))
        return (1.0 - fade) * before + fade * after

    def _measure(
        self, channels: Sequence[NDArray[np.float64]], mean: NDArray[np.float64], *, sample_rate: int
    ) -> None:
        frames = max(1, len(mean))
        powers = np.asarray([float(np.dot(channel, channel)) for channel in channels]) / frames
        mean_power = float(np.dot(mean, mean)) / frames
        if len(self._powers) != len(channels):
            self._powers, self._mean_power, self._loudest = powers, mean_power, None
            return
        decay = float(np.exp(-frames / (_SMOOTHING_SECONDS * max(1, sample_rate))))
        self._powers = decay * self._powers + (1.0 - decay) * powers
        self._mean_power = decay * self._mean_power + (1.0 - decay) * mean_power

    @staticmethod
    def _source(
        channels: Sequence[NDArray[np.float64]], mean: NDArray[np.float64], loudest: int | None
    ) -> NDArray[np.float64]:
        return mean if loudest is None else channels[loudest]


def _all_valid(block: NDArray[Any]) -> bool:
    """Return False if a sample is NaN, infinite, or larger than MAX_SAMPLE."""
    return block.size == 0 or bool(block.max() <= MAX_SAMPLE and block.min() >= -MAX_SAMPLE)

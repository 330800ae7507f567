"""Mixes the short blocks of FFmpeg down to mono, many at a time."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.decoding.downmix import Downmix
from worker.decoding.window import Window

_MIXED_FRAMES = 8_192


class BlockMixer:
    """Adds blocks to a window, mixed down. A block of 20 ms is less work than the calls that it takes."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._downmix = Downmix()
        self._blocks: list[NDArray[Any]] = []
        self._frames = self._sample_rate = 0

    def add(self, block: NDArray[Any], *, sample_rate: int) -> None:
        """Add a block of shape (channels, frames) or (frames,)."""
        block = np.atleast_2d(block)
        if self._blocks and (sample_rate != self._sample_rate or len(block) != len(self._blocks[0])):
            self.flush()
        self._blocks.append(block)
        self._frames += block.shape[1]
        self._sample_rate = sample_rate
        if self._frames >= _MIXED_FRAMES:
            self.flush()

    def flush(self) -> None:
        """Give the window what is left."""
        if self._frames:
            block = np.concatenate(self._blocks, axis=1)
            mono = self._downmix.mix(block, sample_rate=self._sample_rate)
            self._window.add(mono, sample_rate=self._sample_rate)
        self._blocks, self._frames = [], 0

"""Artificial tuning histograms: each tone is a narrow peak of known weight."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from worker.tuning.pitch_histogram import BINS


def histogram_peak(cents: float, *, width: float = 2.0, weight: float = 1.0) -> NDArray[np.float64]:
    """A peak at `cents` on the semitone circle; shape (BINS,)."""
    away = (np.arange(BINS) / 4 - 49.875 - cents + 50.0) % 100.0 - 50.0
    shape = np.exp(-0.5 * (away / width) ** 2)
    return np.asarray(weight * shape / shape.sum(), np.float64)


def make_histogram(
    tones: Sequence[tuple[int, int, float] | tuple[int, int, float, float]], *, width: float = 2.0
) -> NDArray[np.float64]:
    """From tuples of pitch class, segment, cents and weight (default 1); shape (12, segments, BINS)."""
    counts = np.zeros((12, max(segment for _, segment, *_ in tones) + 1, BINS))
    for tone in tones:
        pitch_class, segment, cents, weight = (*tone, 1.0)[:4]
        counts[int(pitch_class), int(segment)] += histogram_peak(cents, width=width, weight=weight)
    return counts

"""Estimates how far tones fall, or rise, after their attack."""

import numpy as np
from numpy.typing import NDArray

from worker.tuning.grid_fit import MIN_PART_SHARE
from worker.tuning.pitch_histogram import PitchHistogram
from worker.tuning.robust_mean import jackknife_error, robust_means

WIDTH_CENTS = 8.0
"""Width of the robust means that are compared."""
PRIOR_CENTS = 0.3
"""Typical difference between sustained tones and all tones; a less certain difference is shrunk."""
EXTRAPOLATION = 1.5
"""Tones keep falling: on known tunings the error is 1.8 times the difference (0 to 3 by soundfont)."""


def estimate_attack_offset(histogram: PitchHistogram, cents: float) -> float:
    """Cents to add to the grid at `cents`, so that it describes tones after their attack.

    Strings, reeds and pipes start sharp, by up to 2 cents for 0.3 s, and short notes are mostly attack. Tones
    that have lasted since their onset show the final pitch, but there are few, and two versions of one
    recording would differ if those tones alone counted. So the difference is shrunk by its standard error
    (empirical Bayes, Efron and Morris 1975).
    """
    observed = _difference(
        histogram.sustained.sum(axis=(0, 1))[None, :],
        histogram.sustain_since_onset.sum(axis=(0, 1))[None, :],
        cents,
    )
    variance = 0.0
    for axis in (0, 1):
        sustained = histogram.sustained.sum(axis=axis)
        since_onset = histogram.sustain_since_onset.sum(axis=axis)
        large = (since_onset.sum(axis=1) > MIN_PART_SHARE * since_onset.sum()) | (
            sustained.sum(axis=1) > MIN_PART_SHARE * sustained.sum()
        )
        if np.count_nonzero(large) < 2:
            return 0.0
        left_out = _difference(
            sustained.sum(axis=0) - sustained[large], since_onset.sum(axis=0) - since_onset[large], cents
        )
        variance += jackknife_error(left_out) ** 2
    return EXTRAPOLATION * float(observed[0]) * PRIOR_CENTS**2 / (PRIOR_CENTS**2 + variance)


def _difference(
    sustained: NDArray[np.float64], since_onset: NDArray[np.float64], cents: float
) -> NDArray[np.float64]:
    """How far each row of `since_onset` lies above `sustained`, both of shape (n, BINS); shape (n,)."""
    return robust_means(since_onset, cents, WIDTH_CENTS) - robust_means(sustained, cents, WIDTH_CENTS)

"""How far this recording's tones fall after they are struck. Histograms in, cents out."""

import numpy as np
from numpy.typing import NDArray

from worker.evidence import Evidence
from worker.grid import LEAST_SHARE, jackknife_error, robust_means

WIDTH_CENTS = 8.0
USUAL_CENTS = 0.3
"""Lasting tones lie so far from all of them, as a rule; what is told less surely is believed less."""
REST = 1.5
"""Lasting tones fall on: on known tunings the error is 1.8 of what is seen (0 to 3 by soundfont)."""


def settling_of(heard: Evidence, cents: float) -> float:
    """Cents to add to `cents`, where all tones together lie, for where they come to rest.

    Strings, reeds and pipes begin sharp, by up to 2 cents for 0.3 s, and short notes are mostly
    beginnings; so the tones that last are asked apart. They are few, and two versions of one recording
    would scatter if they alone were asked: the difference counts as much as it exceeds its standard
    error, as an empirical Bayes estimate does (Efron and Morris 1975).
    """
    whole = _between(heard.placed.sum(axis=(0, 1))[None, :], heard.lasting.sum(axis=(0, 1))[None, :], cents)
    doubt = 0.0
    for axis in (0, 1):
        placed, lasting = heard.placed.sum(axis=axis), heard.lasting.sum(axis=axis)
        told = (lasting.sum(axis=1) > LEAST_SHARE * lasting.sum()) | (
            placed.sum(axis=1) > LEAST_SHARE * placed.sum()
        )
        if np.count_nonzero(told) < 2:
            return 0.0
        left_out = _between(placed.sum(axis=0) - placed[told], lasting.sum(axis=0) - lasting[told], cents)
        doubt += jackknife_error(left_out) ** 2
    return REST * float(whole[0]) * USUAL_CENTS**2 / (USUAL_CENTS**2 + doubt)


def _between(placed: NDArray[np.float64], lasting: NDArray[np.float64], cents: float) -> NDArray[np.float64]:
    """How far each row of `lasting` lies over that of `placed`, both of shape (n, BINS); shape (n,)."""
    return robust_means(lasting, cents, WIDTH_CENTS) - robust_means(placed, cents, WIDTH_CENTS)

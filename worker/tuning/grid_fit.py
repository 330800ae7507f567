"""Which semitone grid does the evidence fit, and how surely? Histograms in, cents out."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from worker.tuning.pitch_histogram import BINS, PitchHistogram

PLACES = np.asarray(np.arange(BINS) * (100.0 / BINS) - 50.0 + 50.0 / BINS, np.float64)
"""Cents from the A440 grid of each bin's middle, shape (BINS,)."""
_STEP = 100.0 / BINS
_AROUND = (np.arange(BINS) - BINS // 2) * _STEP
COARSE_CENTS = 10.0
WIDTH = 0.6
"""Width of the last robust mean, as a share of the peak's own: between two tones of a layered voice a
narrower one jumps, a wider one is drawn along by wrong readings. 0.4 to 1 score alike."""
NARROWEST_CENTS = 4.0
SKIRT_CENTS = 30.0
"""What lies further from the peak is no part of it."""
LEAST_SHARE = 0.01
"""Parts that weigh no more than this of the whole are not left out by themselves."""


Cents = TypeVar("Cents", float, NDArray[np.float64])


def wrap(cents: Cents) -> Cents:
    """Cents folded to -50..+50."""
    return (cents + 50.0) % 100.0 - 50.0


def gaussian(width: float) -> NDArray[np.complex128]:
    """Spectrum of a Gaussian `width` cents wide, to smooth histograms of BINS with."""
    return np.asarray(np.fft.rfft(np.exp(-0.5 * (wrap(PLACES - PLACES[0]) / width) ** 2)), np.complex128)


_COARSE = gaussian(COARSE_CENTS)


def robust_means(counts: NDArray[np.float64], start: float, width: float) -> NDArray[np.float64]:
    """The robust mean of each row of `counts`, shape (n, BINS), found from `start` cents; shape (n,).

    Under a Lorentzian that is `width` cents wide.
    """
    middle = round((start - PLACES[0]) / _STEP)
    turned = np.roll(counts, BINS // 2 - middle, axis=1)
    origin = PLACES[0] + middle * _STEP
    cents = np.full((len(counts), 1), start - origin)
    for _ in range(12):
        rest = _AROUND - cents
        near = turned / (1.0 + (rest / width) ** 2) ** 2
        step = (near * rest).sum(axis=1) / np.maximum(near.sum(axis=1), 1e-300)
        cents += 1.4 * step[:, None]
        if float(np.abs(step).max()) < 5e-3:
            break
    return np.asarray(origin + cents[:, 0], np.float64)


def _width_of(counts: NDArray[np.float64], cents: float) -> float:
    """Standard deviation in cents of what of `counts`, shape (BINS,), stands out around `cents`."""
    rest = wrap(PLACES - cents)
    level = float(np.quantile(counts.reshape(100, -1).mean(axis=1), 0.2))
    above = np.maximum(counts - level, 0.0) * (np.abs(rest) < SKIRT_CENTS)
    total = max(float(above.sum()), 1e-300)
    middle = float((above * rest).sum()) / total
    return float(np.sqrt((above * (rest - middle) ** 2).sum() / total))


@dataclass(frozen=True, slots=True, kw_only=True)
class GridFit:
    """Where the grid lies, from -50 to +50 cents of A440, and what speaks for it."""

    cents: float
    share: float
    """Of the weight, how much lies within 6 cents beyond what chance would put there; 0..1."""
    rival: float
    """Height of the second-best grid, 20 or more cents away, over the best; 0..1."""
    quarter: float
    """Height of the grid half a semitone away over the best, both over the median; 0 to 1."""
    note_error: float
    """Standard error in cents, from leaving out one pitch class at a time (jackknife)."""
    time_error: float
    """Standard error in cents, from leaving out ten seconds at a time."""


def fit_grid(counts: NDArray[np.float64], placed: NDArray[np.float64]) -> GridFit | None:
    """The grid that fits `counts` and `placed` of Evidence, or None without any.

    Which grid, and what rivals it has, all readings alike tell; where it lies, settled tones.
    """
    plain, whole = counts.sum(axis=(0, 1)), placed.sum(axis=(0, 1))
    total = float(plain.sum())
    if total <= 0.0:
        return None
    smooth = np.fft.irfft(np.fft.rfft(plain) * _COARSE, BINS)
    top = int(np.argmax(smooth))
    best, middle = float(smooth[top]), float(np.median(smooth))
    around = float(robust_means(whole[None, :], float(PLACES[top]), COARSE_CENTS)[0])
    width = max(WIDTH * _width_of(whole, around), NARROWEST_CENTS)
    cents = float(robust_means(whole[None, :], around, width)[0])
    away = np.abs(wrap(PLACES - PLACES[top]))
    inside = float(plain[np.abs(wrap(PLACES - cents)) <= 6.0].sum()) / total
    return GridFit(
        cents=wrap(cents),
        share=max(0.0, (inside - 0.12) / 0.88),
        rival=float(smooth[away >= 20.0].max()) / max(best, 1e-300),
        quarter=float(smooth[away >= 44.0].max() - middle) / max(best - middle, 1e-300),
        note_error=_jackknife(whole, placed.sum(axis=1), cents, width),
        time_error=_jackknife(whole, placed.sum(axis=0), cents, width),
    )


def _jackknife(whole: NDArray[np.float64], parts: NDArray[np.float64], cents: float, width: float) -> float:
    """Standard error of the peak of `whole`, the sum of `parts` of shape (n, BINS)."""
    weighty = parts[parts.sum(axis=1) > LEAST_SHARE * whole.sum()]
    return jackknife_error(robust_means(whole - weighty, cents, width)) if len(weighty) > 1 else 0.0


def jackknife_error(left_out: NDArray[np.float64]) -> float:
    """Standard error of what was measured again with each of its parts left out, shape (n,)."""
    n = len(left_out)
    return float(np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum()))


WIDTH_CENTS = 8.0
USUAL_CENTS = 0.3
"""Lasting tones lie so far from all of them, as a rule; what is told less surely is believed less."""
REST = 1.5
"""Lasting tones fall on: on known tunings the error is 1.8 of what is seen (0 to 3 by soundfont)."""


def attack_offset_of(heard: PitchHistogram, cents: float) -> float:
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

"""Scales of twelve unequal steps: which one is it, and where is its A? Histograms in, a scale out.

Read on the tempered grid, music in just intonation on A4 = 440 Hz seems up to 16 cents off and sure
of it: each pitch class is narrow, but they lie at places that no one grid holds.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from worker.tuning.pitch_histogram import BINS, PitchHistogram

PEAK_CENTS = 3.0
"""Width of what counts as one place: the error of a sampled instrument's single key."""
STRAY_CENTS = 20
"""A class whose peak lies elsewhere within this distance speaks against the scale: half of what sets
a comma meantone's classes apart from the equal ones."""
FAITHFUL = 0.92
"""Height at the scale's places over the highest near them. Of 39 pieces rendered in eight historical
scales with two soundfonts 0.93 to 0.99 where the right one was found; random pitches and scales of other
musics reach it less than once in a thousand, 285 versions of tempered music not at all with BETTER."""
BETTER = 1.14
"""Height over that of the best equal grid: tempered music up to 1.12 by chance, unequal 1.04 to 1.9."""
ALIEN_CENTS = 18.0
ALIEN = 0.32
"""The highest place that the scale has no name for, over its four highest: quarter tones and scales of
17, 19 or 31 steps 0.9 to 2, music under 0.5."""
CLASSES = 4.2
"""With fewer effective pitch classes some scale in some key fits by chance."""
SOUNDS = 0.1
"""Small steps leave two notes within half a semitone of 440 Hz: the one that sounds is called A."""
ALIKE = 0.045
"""Scales that fit this fraction worse than the best are still in question, and so is their A."""

_COMMA = 21.506
"""Syntonic: four pure fifths over a pure third, 81/80."""
_PURE_FIFTH = 701.955


def _chain(fifth: float) -> NDArray[np.float64]:
    """Cents over C of the fifths from E flat to G sharp, each of `fifth` cents; shape (12,)."""
    steps = np.arange(-3, 9)
    scale = np.empty(12)
    scale[7 * steps % 12] = steps * fifth % 1200.0
    return scale


def _circle(narrowed: tuple[int, ...], parts: int) -> NDArray[np.float64]:
    """Cents over C of a closed circle: fifth i from C (0 is C-G) of `narrowed` loses 1/parts comma."""
    fifths = np.full(12, _PURE_FIFTH)
    fifths[list(narrowed)] -= (12 * _PURE_FIFTH - 8400.0) / parts
    scale = np.empty(12)
    scale[7 * np.arange(12) % 12] = np.concatenate([[0.0], np.cumsum(fifths[:-1])]) % 1200.0
    return scale


_JUST = 1200.0 * np.log2(
    [1, 16 / 15, 9 / 8, 6 / 5, 5 / 4, 4 / 3, 45 / 32, 3 / 2, 8 / 5, 5 / 3, 9 / 5, 15 / 8],
)
_KIRNBERGER = np.array(
    [0.0, 90.225, 193.157, 294.135, 386.314, 498.045, 590.224, 696.578, 792.18, 889.735, 996.09, 1088.269]
)
EVERY_KEY = {
    "just": _JUST,
    "pythagorean": _chain(_PURE_FIFTH),
    "quarter_comma_meantone": _chain(_PURE_FIFTH - _COMMA / 4),
    "sixth_comma_meantone": _chain(_PURE_FIFTH - _COMMA / 6),
}
"""Cents over their tonic; players retune them to the key of the piece."""
ON_C = {
    "werckmeister_3": _circle((0, 1, 2, 5), 4),
    "kirnberger_3": _KIRNBERGER,
    "vallotti": _circle((11, 0, 1, 2, 3, 4), 6),
    "young_2": _circle((0, 1, 2, 3, 4, 5), 6),
}
"""Keyboards' scales, always laid from C (J. Murray Barbour, Tuning and Temperament, 1951)."""


def _over_a(scale: NDArray[np.float64], tonic: int) -> NDArray[np.float64]:
    """`scale`, laid `tonic` semitones over C, as cents over A of A, A sharp ... G sharp; shape (12,)."""
    places = scale[(np.arange(12) + 9 - tonic) % 12]
    equal = 100.0 * np.arange(12)
    return np.asarray(equal + (places - places[0] - equal + 600.0) % 1200.0 - 600.0, np.float64)


_NAMES = [name for name in EVERY_KEY for _ in range(12)] + list(ON_C)
_SCALES = np.array(
    [_over_a(scale, tonic) for scale in EVERY_KEY.values() for tonic in range(12)]
    + [_over_a(scale, 0) for scale in ON_C.values()]
)
_AS = np.arange(100)
"""Places of A that are tried: a cent apart, from half a semitone under the A of 440 Hz."""
_AT = (np.round(_SCALES).astype(np.int64)[:, None, :] + _AS[:, None]) % 1200
_AWAY = (np.arange(1200) + 600) % 1200 - 600
_KERNEL = np.fft.rfft(np.exp(-0.5 * (_AWAY / PEAK_CENTS) ** 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class UnequalScale:
    """A scale of twelve unequal steps that fits where the equal one does not."""

    name: str
    cents_over_a: NDArray[np.float64]
    """Of A, A sharp ... G sharp; shape (12,)."""
    a_cents: float
    """Where its A lies, to about a cent: -50 to +50 of 440 Hz."""
    doubt_cents: float
    """Standard deviation of this A's place among the scales that fit nearly as well."""


def find_unequal_scale(counts: NDArray[np.float64]) -> UnequalScale | None:
    """The historical scale, in some key, that `counts` of shape (12, segments, BINS) lie on, or None.

    None where the equal grid fits as well, where much lies beside the scale, or too few notes sound.
    """
    octave = counts.sum(axis=1).reshape(1200, BINS // 100).sum(axis=1)
    if octave.sum() <= 0.0:
        return None
    height = np.maximum(np.fft.irfft(np.fft.rfft(octave) * _KERNEL, 1200), 0.0)
    near = maximum_filter1d(height, 2 * STRAY_CENTS + 1, mode="wrap")
    equal = height.reshape(12, 100).sum(axis=0)
    best_equal = int(np.argmax(equal))
    if equal[best_equal] > FAITHFUL * near.reshape(12, 100)[:, best_equal].sum():
        return None
    heights = height[_AT].sum(axis=2) + SOUNDS * height[_AS]
    best = int(np.argmax(heights))
    scale, place = divmod(best, _AS.size)
    at = _AT[scale, place]
    top = float(heights[scale, place])
    if top < BETTER * equal[best_equal] or top < FAITHFUL * near[at].sum():
        return None
    weight = uniform_filter1d(octave, 17, mode="wrap")[at]
    if weight.sum() ** 2 < CLASSES * (weight**2).sum():
        return None
    beside = np.abs((np.arange(1200)[:, None] - at + 600) % 1200 - 600).min(axis=1) >= ALIEN_CENTS
    if height[beside].max(initial=0.0) > ALIEN * np.sort(height[at])[-4:].mean():
        return None
    each = heights.max(axis=1)
    likely = np.exp((each / top - 1.0) / ALIKE)
    others = heights.argmax(axis=1)[:, None] + _SCALES
    apart = np.abs((others - place + 600.0) % 1200.0 - 600.0).min(axis=1)
    return UnequalScale(
        name=_NAMES[scale],
        cents_over_a=_SCALES[scale],
        a_cents=place - 49.5,
        doubt_cents=float(np.sqrt((likely * apart**2).sum() / likely.sum())),
    )


def straightened(heard: PitchHistogram, scale: UnequalScale) -> PitchHistogram:
    """What would have been heard of the same piece on the equal grid with the same A."""
    bend = scale.cents_over_a - 100.0 * np.arange(12)
    step = 100 / BINS
    place = np.arange(BINS) * step - 50.0 + step / 2
    place += 100.0 * np.round((scale.a_cents - place) / 100.0)
    cents = 100.0 * np.arange(12)[:, None] + place + bend[:, None]
    index = np.round((cents + 50.0 - step / 2) / step).astype(np.int64) % (12 * BINS)

    def bent(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        circle = np.moveaxis(counts, 1, 0).reshape(-1, 12 * BINS)
        return np.moveaxis(circle[:, index], 0, 1)

    resultant = heard.keys[0]
    pitch = 100.0 * (np.arange(resultant.size) - 69) + np.angle(resultant) * (50.0 / np.pi)
    away = (pitch[:, None] - scale.a_cents - scale.cents_over_a + 600.0) % 1200.0 - 600.0
    turn = np.exp(-2j * np.pi / 100.0 * bend[np.abs(away).argmin(axis=1)])
    return replace(
        heard,
        counts=bent(heard.counts),
        placed=bent(heard.placed),
        lasting=bent(heard.lasting),
        keys=np.stack([resultant * turn, heard.keys[1]]),
    )

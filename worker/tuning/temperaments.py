"""Recognizes unequal temperaments and finds their A.

Measured on the equal-tempered grid, music in just intonation on A4 = 440 Hz is up to 16 cents off at high
confidence: each pitch class is narrow, but no single grid describes them. See Tidhar, Mauch and Dixon (2010),
"High precision frequency estimation for harpsichord tuning classification".
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from worker.tuning.pitch_histogram import BINS, PitchHistogram

PEAK_CENTS = 3.0
"""Smoothing width: the tuning error of one key of a sampled instrument."""
NEAR_CENTS = 20
"""A pitch class with a higher peak within this distance is evidence against the temperament: half of the
distance between comma meantone and equal steps."""
MIN_PEAK_RATIO = 0.92
"""Height at the steps of the temperament over the highest nearby peaks. 39 pieces rendered in eight
temperaments with two soundfonts: 0.93 to 0.99 where the right one was found. Random pitches and non-Western
scales reach it less than once in a thousand; of 285 versions of equal-tempered music none passes it and
MIN_GAIN."""
MIN_GAIN = 1.14
"""Height over that of the best equal grid: equal-tempered music up to 1.12 by chance, unequal 1.04 to 1.9."""
FOREIGN_CENTS = 18.0
MAX_FOREIGN_RATIO = 0.32
"""The highest peak at no step of the temperament, over the mean of its four highest: quarter tones and 17, 19
or 31 equal divisions 0.9 to 2, music below 0.5."""
MIN_PITCH_CLASSES = 4.2
"""With fewer effective pitch classes, some temperament in some key fits by chance."""
A_BONUS = 0.1
"""Two steps may lie within half a semitone of 440 Hz; the one that sounds is called A."""
SIMILAR = 0.045
"""Relative difference in height at which another temperament, and its A, remains plausible."""

_COMMA = 21.506
"""Syntonic comma, 81/80: four pure fifths minus two octaves and a pure third."""
_PURE_FIFTH = 701.955


def _chain(fifth: float) -> NDArray[np.float64]:
    """Cents above C for a chain of fifths from E flat to G sharp, each of `fifth` cents; shape (12,)."""
    steps = np.arange(-3, 9)
    scale = np.empty(12)
    scale[7 * steps % 12] = steps * fifth % 1200.0
    return scale


def _circle(narrowed: tuple[int, ...], parts: int) -> NDArray[np.float64]:
    """Cents above C for a closed circle: each fifth i of `narrowed` (0 is C-G) loses 1/parts comma."""
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
MOVABLE = {
    "just": _JUST,
    "pythagorean": _chain(_PURE_FIFTH),
    "quarter_comma_meantone": _chain(_PURE_FIFTH - _COMMA / 4),
    "sixth_comma_meantone": _chain(_PURE_FIFTH - _COMMA / 6),
}
"""Cents above the tonic; players retune these to the key of the piece."""
FIXED = {
    "werckmeister_3": _circle((0, 1, 2, 5), 4),
    "kirnberger_3": _KIRNBERGER,
    "vallotti": _circle((11, 0, 1, 2, 3, 4), 6),
    "young_2": _circle((0, 1, 2, 3, 4, 5), 6),
}
"""Keyboard temperaments, in cents above C (J. Murray Barbour, "Tuning and Temperament", 1951)."""


def _over_a(scale: NDArray[np.float64], tonic: int) -> NDArray[np.float64]:
    """`scale` on a tonic `tonic` semitones above C, as cents above A of A, A sharp ... G sharp; shape
    (12,)."""
    places = scale[(np.arange(12) + 9 - tonic) % 12]
    equal = 100.0 * np.arange(12)
    return np.asarray(equal + (places - places[0] - equal + 600.0) % 1200.0 - 600.0, np.float64)


_NAMES = [name for name in MOVABLE for _ in range(12)] + list(FIXED)
_SCALES = np.array(
    [_over_a(scale, tonic) for scale in MOVABLE.values() for tonic in range(12)]
    + [_over_a(scale, 0) for scale in FIXED.values()]
)
_A_OFFSETS = np.arange(100)
"""Candidates for A, one cent apart, from half a semitone below 440 Hz."""
_STEP_BINS = (np.round(_SCALES).astype(np.int64)[:, None, :] + _A_OFFSETS[:, None]) % 1200
_DISTANCE = (np.arange(1200) + 600) % 1200 - 600
_KERNEL = np.fft.rfft(np.exp(-0.5 * (_DISTANCE / PEAK_CENTS) ** 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperament:
    """An unequal temperament."""

    name: str
    cents_over_a: NDArray[np.float64]
    """Steps A, A sharp ... G sharp; shape (12,)."""
    a_cents: float
    """Its A, to about a cent: -50 to +50 from 440 Hz."""
    a_error_cents: float
    """Standard deviation of A among the temperaments that fit nearly as well."""


def find_temperament(counts: NDArray[np.float64]) -> Temperament | None:
    """The temperament, in some key, that describes `counts`, shape (12, segments, BINS).

    None if equal steps fit as well, if much weight lies outside the temperament, or if few notes sound.
    """
    octave = counts.sum(axis=1).reshape(1200, BINS // 100).sum(axis=1)
    if octave.sum() <= 0.0:
        return None
    height = np.maximum(np.fft.irfft(np.fft.rfft(octave) * _KERNEL, 1200), 0.0)
    near = maximum_filter1d(height, 2 * NEAR_CENTS + 1, mode="wrap")
    equal = height.reshape(12, 100).sum(axis=0)
    best_equal = int(np.argmax(equal))
    if equal[best_equal] > MIN_PEAK_RATIO * near.reshape(12, 100)[:, best_equal].sum():
        return None
    heights = height[_STEP_BINS].sum(axis=2) + A_BONUS * height[_A_OFFSETS]
    best = int(np.argmax(heights))
    scale, place = divmod(best, _A_OFFSETS.size)
    bins = _STEP_BINS[scale, place]
    top = float(heights[scale, place])
    if top < MIN_GAIN * equal[best_equal] or top < MIN_PEAK_RATIO * near[bins].sum():
        return None
    weight = uniform_filter1d(octave, 17, mode="wrap")[bins]
    if weight.sum() ** 2 < MIN_PITCH_CLASSES * (weight**2).sum():
        return None
    foreign = np.abs((np.arange(1200)[:, None] - bins + 600) % 1200 - 600).min(axis=1) >= FOREIGN_CENTS
    if height[foreign].max(initial=0.0) > MAX_FOREIGN_RATIO * np.sort(height[bins])[-4:].mean():
        return None
    best_of_each = heights.max(axis=1)
    plausibility = np.exp((best_of_each / top - 1.0) / SIMILAR)
    others = heights.argmax(axis=1)[:, None] + _SCALES
    distance = np.abs((others - place + 600.0) % 1200.0 - 600.0).min(axis=1)
    return Temperament(
        name=_NAMES[scale],
        cents_over_a=_SCALES[scale],
        a_cents=place - 49.5,
        a_error_cents=float(np.sqrt((plausibility * distance**2).sum() / plausibility.sum())),
    )


def retune_to_equal(histogram: PitchHistogram, temperament: Temperament) -> PitchHistogram:
    """The histogram that the same piece would have in equal temperament with the same A."""
    deviation = temperament.cents_over_a - 100.0 * np.arange(12)
    step = 100 / BINS
    place = np.arange(BINS) * step - 50.0 + step / 2
    place += 100.0 * np.round((temperament.a_cents - place) / 100.0)
    cents = 100.0 * np.arange(12)[:, None] + place + deviation[:, None]
    index = np.round((cents + 50.0 - step / 2) / step).astype(np.int64) % (12 * BINS)

    def retune(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        circle = np.moveaxis(counts, 1, 0).reshape(-1, 12 * BINS)
        return np.moveaxis(circle[:, index], 0, 1)

    resultant = histogram.semitone_resultants[0]
    pitch = 100.0 * (np.arange(resultant.size) - 69) + np.angle(resultant) * (50.0 / np.pi)
    distance = (pitch[:, None] - temperament.a_cents - temperament.cents_over_a + 600.0) % 1200.0 - 600.0
    rotation = np.exp(-2j * np.pi / 100.0 * deviation[np.abs(distance).argmin(axis=1)])
    return replace(
        histogram,
        counts=retune(histogram.counts),
        sustained=retune(histogram.sustained),
        sustain_since_onset=retune(histogram.sustain_since_onset),
        semitone_resultants=np.stack([resultant * rotation, histogram.semitone_resultants[1]]),
    )

"""The tuning histogram: deviations from the A440 semitone grid, by pitch class and ten-second segment."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.tuning.spectral.circle import directions
from worker.tuning.spectral.harmonics import HARMONICS, HarmonicMatches
from worker.tuning.spectral.inharmonicity import STRETCH_CENTS, octave_of

BINS = 400
"""Bins per semitone; a quarter of a cent each."""
SEGMENT_SECONDS = 10.0
CHUNK = 8192
"""Matches that are added at a time: bounds the memory."""
_ROW = BINS + 2
"""Bins of a row while matches are added: one more at either end, so that no bin wraps round."""
_ORDERS = np.arange(1, HARMONICS + 1)
_PARTIAL_CENTS = 1200.0 * np.log2(_ORDERS)
_STRETCH_FACTOR = _ORDERS**2 - 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PitchHistogram:
    """Weight by pitch class, segment and deviation. The histograms of several windows add up."""

    counts: NDArray[np.float64]
    """Shape (12, segments, BINS); bin b is a deviation of b / 4 - 49.875 cents from the A440 grid. All
    matches have their full weight: shows whether there is a semitone grid, and which."""
    sustained: NDArray[np.float64]
    """The same, weighted by `sustain`: shows the exact place of the grid."""
    sustain_since_onset: NDArray[np.float64]
    """The same, weighted by `sustain_since_onset`: shows how far tones fall after their onset."""
    semitone_resultants: NDArray[np.complex128]
    """Per MIDI note, the sum of weight * exp(2j pi deviation / 100) of likely fundamentals, and the sum of
    weight; shape (2, 128)."""
    salience: float
    """Weight of tones per second with tones: music 120 to 1300, drums and speech below 200."""
    peak_power_share: float
    """See `Tones`; of the window with the smaller value."""
    centroid_resultant: float
    """See `Tones`; of the window with the larger value."""

    def __add__(self, other: "PitchHistogram") -> "PitchHistogram":
        """The sum of the histograms of two windows of the same samples."""
        return PitchHistogram(
            counts=self.counts + other.counts,
            sustained=self.sustained + other.sustained,
            sustain_since_onset=self.sustain_since_onset + other.sustain_since_onset,
            semitone_resultants=self.semitone_resultants + other.semitone_resultants,
            salience=self.salience + other.salience,
            peak_power_share=min(self.peak_power_share, other.peak_power_share),
            centroid_resultant=max(self.centroid_resultant, other.centroid_resultant),
        )

    @property
    def resultant_length(self) -> float:
        """Resultant length of the fundamentals' deviations: 0 (uniform) to 1 (all equal)."""
        return float(
            abs(self.semitone_resultants[0].sum())
            / max(float(self.semitone_resultants[1].real.sum()), 1e-300)
        )

    @property
    def effective_semitones(self) -> float:
        """Effective number of MIDI notes (participation ratio)."""
        return _participation(self.semitone_resultants[1].real)

    @property
    def effective_pitch_classes(self) -> float:
        """Effective number of pitch classes (participation ratio)."""
        return _participation(self.semitone_resultants[1].real[:120].reshape(10, 12).sum(axis=0))


def _participation(weight: NDArray[np.float64]) -> float:
    return float(weight.sum() ** 2 / max(float((weight**2).sum()), 1e-300))


def make_pitch_histogram(
    window: HarmonicMatches, stretch: NDArray[np.float64], segments: int
) -> PitchHistogram:
    """Adds each tone at the pitch of every fundamental that it may be a partial of.

    Partial h lies 1200 log2(h) cents above its fundamental, off the tempered grid by +2, -14, -31 ...
    cents for h = 3, 5, 7, plus the `stretch` of `estimate_inharmonicity`. Correct matches accumulate at the
    tuning and wrong ones scatter, so partials and chords don't bias the estimate. The histogram of Gómez
    (2006, "Tonal description of music audio signals") folds each peak as if it were a fundamental.
    """
    segment = np.minimum((window.seconds / SEGMENT_SECONDS).astype(np.int64), segments - 1)
    stretch_of_tone = stretch[octave_of(window.cents)]
    fundamentals = window.fundamentals.reshape(-1)
    matched = np.flatnonzero(fundamentals >= 0)
    counts, sustained, sustain_since_onset = np.zeros((3, 12 * segments * _ROW))
    for start in range(0, matched.size, CHUNK):
        match = matched[start : start + CHUNK]
        row = match // window.cents.size
        tone = match - row * window.cents.size
        pitch = window.cents[tone] - _PARTIAL_CENTS[row]
        pitch -= np.minimum(stretch_of_tone[fundamentals[match]] * _STRETCH_FACTOR[row], STRETCH_CENTS)
        weight = window.share[tone] * np.where(row == 0, window.fundamental_share[tone], 1.0)
        left, fraction = _cells(pitch, segment[tone], segments)
        counts += np.bincount(left + (fraction >= 0.5), weight, counts.size)
        _add_interpolated(sustained, left, fraction, weight * window.sustain[tone])
        if window.sustain_since_onset is not None:
            since_onset = weight * window.sustain_since_onset[tone]
            _add_interpolated(sustain_since_onset, left, fraction, since_onset)
    seconds = window.sounding_seconds
    return PitchHistogram(
        counts=_close(counts, segments),
        sustained=_close(sustained, segments),
        sustain_since_onset=_close(sustain_since_onset, segments),
        semitone_resultants=_semitone_resultants(window),
        salience=float(window.weight.sum()) / seconds if seconds else 0.0,
        peak_power_share=window.peak_power_share,
        centroid_resultant=window.centroid_resultant,
    )


def _cells(
    pitch: NDArray[np.float64], segment: NDArray[np.int64], segments: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The bin to the left of each pitch, in an open histogram, and the distance from it in bins."""
    semitone = np.floor(pitch / 100.0 + 0.5)
    position = (pitch - 100.0 * semitone + 50.0) * (BINS / 100.0) - 0.5
    bin_ = np.floor(position)
    # In floating point: numpy's integer % takes ten times as long.
    pitch_class = semitone - 12.0 * np.floor(semitone / 12.0)
    left = (pitch_class * segments + segment) * _ROW + (bin_ + 1.0)
    return left.astype(np.int64), position - bin_


def _add_interpolated(
    histogram: NDArray[np.float64],
    left: NDArray[np.int64],
    fraction: NDArray[np.float64],
    weight: NDArray[np.float64],
) -> None:
    """Divides each weight between two bins."""
    right_weight = fraction * weight
    histogram += np.bincount(left, weight - right_weight, histogram.size)
    histogram[1:] += np.bincount(left, right_weight, histogram.size)[:-1]


def _close(histogram: NDArray[np.float64], segments: int) -> NDArray[np.float64]:
    """Adds the bins beyond either end of each row to those at its other end; shape (12, segments, BINS)."""
    rows = histogram.reshape(12, segments, _ROW)
    rows[:, :, -2] += rows[:, :, 0]
    rows[:, :, 1] += rows[:, :, -1]
    return rows[:, :, 1:-1].copy()


def _semitone_resultants(window: HarmonicMatches) -> NDArray[np.complex128]:
    """Tones that may be a partial off the grid (3, 5, 6, 7, 9, 10) hardly count."""
    weight = np.where((window.fundamentals[[2, 4, 5, 6, 8, 9]] >= 0).any(axis=0), 0.05, 1.0) * window.weight
    midi_note = np.clip(np.round(window.cents / 100.0).astype(np.int64) + 69, 0, 127)
    cosine, sine = directions(window.cents)
    return np.stack(
        [
            np.bincount(midi_note, weight * cosine, 128) + 1j * np.bincount(midi_note, weight * sine, 128),
            np.bincount(midi_note, weight, 128).astype(np.complex128),
        ]
    )

"""The tuning histogram: deviations from the A440 semitone grid, by pitch class and ten-second segment."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.tuning.spectral.circle import directions
from worker.tuning.spectral.harmonics import HarmonicMatches
from worker.tuning.spectral.inharmonicity import STRETCH_CENTS, octave_of

BINS = 400
"""Bins per semitone; a quarter of a cent each."""
SEGMENT_SECONDS = 10.0


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
    counts, sustained, sustain_since_onset = np.zeros((3, 12 * segments * BINS))
    for order, fundamental in enumerate(window.fundamentals, start=1):
        matched = np.flatnonzero(fundamental >= 0)
        pitch = window.cents[matched] - 1200.0 * np.log2(order)
        pitch -= np.minimum(stretch_of_tone[fundamental[matched]] * (order**2 - 1), STRETCH_CENTS)
        weight = window.share[matched] * (window.fundamental_share[matched] if order == 1 else 1.0)
        semitone = np.floor(pitch / 100.0 + 0.5)
        position = (pitch - 100.0 * semitone + 50.0) * (BINS / 100.0) - 0.5
        row = ((semitone.astype(np.int64) % 12) * segments + segment[matched]) * BINS
        bin_ = np.floor(position).astype(np.int64)
        fraction = position - bin_
        left, right = row + bin_ % BINS, row + (bin_ + 1) % BINS
        counts += np.bincount(np.where(fraction < 0.5, left, right), weight, counts.size)
        _add_interpolated(sustained, left, right, fraction, weight * window.sustain[matched])
        if window.sustain_since_onset is not None:
            _add_interpolated(
                sustain_since_onset, left, right, fraction, weight * window.sustain_since_onset[matched]
            )
    seconds = window.sounding_seconds
    return PitchHistogram(
        counts=counts.reshape(12, segments, BINS),
        sustained=sustained.reshape(12, segments, BINS),
        sustain_since_onset=sustain_since_onset.reshape(12, segments, BINS),
        semitone_resultants=_semitone_resultants(window),
        salience=float(window.weight.sum()) / seconds if seconds else 0.0,
        peak_power_share=window.peak_power_share,
        centroid_resultant=window.centroid_resultant,
    )


def _add_interpolated(
    histogram: NDArray[np.float64],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    fraction: NDArray[np.float64],
    weight: NDArray[np.float64],
) -> None:
    """Divides each weight between two bins."""
    right_weight = fraction * weight
    histogram += np.bincount(left, weight - right_weight, histogram.size)
    histogram += np.bincount(right, right_weight, histogram.size)


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

"""What the partials say about the semitone grid, counted per note and per ten seconds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.tuning.harmonics import HarmonicMatches
from worker.tuning.inharmonicity import STRETCH_CENTS, octave_of

BINS = 400
"""A quarter of a cent each, over one semitone."""
SEGMENT_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PitchHistogram:
    """Weight by pitch class, segment and deviation; adds up over windows and kinds of peaks."""

    counts: NDArray[np.float64]
    """Shape (12, segments, BINS); bin b is a deviation of b / 4 - 49.875 cents from the A440 grid. All
    readings alike: tells whether there is a grid, and which."""
    placed: NDArray[np.float64]
    """The same, each tone by how settled it is: tells where the grid lies."""
    lasting: NDArray[np.float64]
    """The same, by how long since it was struck: tells how far tones fall after their beginning."""
    keys: NDArray[np.complex128]
    """Sum of weight * exp(2j pi deviation / 100) of likely fundamentals per semitone; shape (2, 128):
    first the resultants, then the plain weights."""
    strength: float
    """Weight of steady tones per second that has any: music 120 to 1300, drums and speech under 200."""

    lead_share: float
    """Of the power of tones that waver, what their strongest peak holds, in the window that holds least."""
    means_agreement: float
    """Resultant length of the mean pitches of tones that waver, in the window where they agree best."""

    def __add__(self, other: "PitchHistogram") -> "PitchHistogram":
        """What two windows heard of the same samples."""
        return PitchHistogram(
            counts=self.counts + other.counts,
            placed=self.placed + other.placed,
            lasting=self.lasting + other.lasting,
            keys=self.keys + other.keys,
            strength=self.strength + other.strength,
            lead_share=min(self.lead_share, other.lead_share),
            means_agreement=max(self.means_agreement, other.means_agreement),
        )

    @property
    def agreement(self) -> float:
        """Resultant length of the fundamentals' deviations, 0 (anywhere) to 1 (all alike)."""
        return float(abs(self.keys[0].sum()) / max(float(self.keys[1].real.sum()), 1e-300))

    @property
    def notes(self) -> float:
        """Effective number of different semitones (participation ratio)."""
        return _participation(self.keys[1].real)

    @property
    def pitch_classes(self) -> float:
        """Effective number of different pitch classes."""
        return _participation(self.keys[1].real[:120].reshape(10, 12).sum(axis=0))


def _participation(weight: NDArray[np.float64]) -> float:
    return float(weight.sum() ** 2 / max(float((weight**2).sum()), 1e-300))


def gather(window: HarmonicMatches, stretch: NDArray[np.float64], segments: int) -> PitchHistogram:
    """Count every tone where its fundamental would lie, over all series it may belong to.

    Overtone h lies 1200 log2(h) cents over its fundamental, off the tempered grid by +2, -14, -31 ...
    cents for h = 3, 5, 7, and `stretch` (see `inharmonicity_of`) further up. Right readings pile up at the
    tuning, wrong ones scatter, so neither overtones nor chords pull the answer.
    """
    segment = np.minimum((window.seconds / SEGMENT_SECONDS).astype(np.int64), segments - 1)
    per = stretch[octave_of(window.cents)]
    counts, placed, lasting = np.zeros((3, 12 * segments * BINS))
    for order, lower in enumerate(window.roots, start=1):
        mine = np.flatnonzero(lower >= 0)
        root = window.cents[mine] - 1200.0 * np.log2(order)
        root -= np.minimum(per[lower[mine]] * (order**2 - 1), STRETCH_CENTS)
        part = window.part[mine] * (window.own[mine] if order == 1 else 1.0)
        note = np.floor(root / 100.0 + 0.5)
        place = (root - 100.0 * note + 50.0) * (BINS / 100.0) - 0.5
        row = ((note.astype(np.int64) % 12) * segments + segment[mine]) * BINS
        bin_ = np.floor(place).astype(np.int64)
        above = place - bin_
        left, right = row + bin_ % BINS, row + (bin_ + 1) % BINS
        counts += np.bincount(np.where(above < 0.5, left, right), part, counts.size)
        _place(placed, left, right, above, part * window.settled[mine])
        if window.lasting is not None:
            _place(lasting, left, right, above, part * window.lasting[mine])
    seconds = window.sounding_seconds
    return PitchHistogram(
        counts=counts.reshape(12, segments, BINS),
        placed=placed.reshape(12, segments, BINS),
        lasting=lasting.reshape(12, segments, BINS),
        keys=_keys(window),
        strength=float(window.weight.sum()) / seconds if seconds else 0.0,
        lead_share=window.lead_share,
        means_agreement=window.means_agreement,
    )


def _place(
    into: NDArray[np.float64],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    above: NDArray[np.float64],
    weight: NDArray[np.float64],
) -> None:
    """Share each weight out between two bins."""
    further = above * weight
    into += np.bincount(left, weight - further, into.size)
    into += np.bincount(right, further, into.size)


def _keys(window: HarmonicMatches) -> NDArray[np.complex128]:
    """`keys` of Evidence: tones that may be an overtone off the grid hardly count."""
    alone = np.where((window.roots[[2, 4, 5, 6, 8, 9]] >= 0).any(axis=0), 0.05, 1.0) * window.weight
    key = np.clip(np.round(window.cents / 100.0).astype(np.int64) + 69, 0, 127)
    turn = alone * np.exp(2j * np.pi / 100.0 * window.cents)
    return np.stack(
        [
            np.bincount(key, turn.real, 128) + 1j * np.bincount(key, turn.imag, 128),
            np.bincount(key, alone, 128).astype(np.complex128),
        ]
    )

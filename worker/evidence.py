"""What the partials say about the semitone grid, counted per note and per ten seconds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.overtones import STRETCH_CENTS, octave_of, series_of, stretch_of
from worker.partials import Partials

BINS = 400
"""A quarter of a cent each, over one semitone."""
SEGMENT_SECONDS = 10.0
QUIET_DB = 45.0
"""Partials this far under the loud ones are reverberation and hiss."""
BLUR_CENTS = 2.5
"""A peak whose three frequency estimates differ by this much counts half."""
DEEP_HZ = 100.0
"""Below, a semitone is narrower than the main lobe of the shorter window: neighbours pull each other."""
DAMPING_BINS = 0.1
"""A peak that swells or fades this fast (an onset within the window) counts half."""
CHAIN_CENTS = 70.0
"""Peaks closer than this are one wavering tone: no two notes are so close."""
CHAINS_BELOW_HZ = 2200.0
"""Above, the overtones of one low note lie within CHAIN_CENTS of each other."""
WAVERING_GAIN = 1.6
"""Vibrato of +-20 cents gains 1.9, of +-30 over 5; of 100 tracks without, none gained more than 1.4."""
WAVERING_SHARE = 0.7
"""Of a chain's power, its strongest peak holds 0.74 to 0.99 in 100 tracks, under 0.68 in deep vibrato."""
OWN = 0.75
"""A peak that may be an overtone more likely is one: its reading as a note of its own counts a quarter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Weight by pitch class, segment and deviation; adds up over windows and kinds of peaks."""

    counts: NDArray[np.float64]
    """Shape (12, segments, BINS); bin b is a deviation of b / 4 - 49.875 cents from the A440 grid."""
    keys: NDArray[np.complex128]
    """Sum of weight * exp(2j pi deviation / 100) of likely fundamentals per semitone; shape (2, 128):
    first the resultants, then the plain weights."""
    strength: float
    """Weight of steady tones per second that has any: music 120 to 1300, drums and speech under 200."""

    lead_share: float
    """Of the power of tones that waver, what their strongest peak holds, in the window that holds least."""
    means_agreement: float
    """Resultant length of the mean pitches of tones that waver, in the window where they agree best."""

    def __add__(self, other: "Evidence") -> "Evidence":
        """What two windows heard of the same samples."""
        return Evidence(
            counts=self.counts + other.counts,
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


def steadiness(partials: Partials) -> NDArray[np.float64]:
    """How far each partial counts, shape (n,): by dB over the floor, never by amplitude."""
    if partials.hz.size == 0:
        return np.zeros(0)
    weight = np.clip(partials.prominence_db - 8.0, 0.0, 25.0).astype(np.float64)
    weight *= partials.level_db > np.quantile(partials.level_db, 0.95) - QUIET_DB
    return np.asarray(weight, np.float64)


def gather(partials: Partials, segments: int) -> Evidence:
    """Count every partial where its fundamental would lie, over all series it may belong to.

    Overtone h lies 1200 log2(h) cents over its fundamental, off the tempered grid by +2, -14, -31 ...
    cents for h = 3, 5, 7. A peak with another peak at hz / h in its frame may be that overtone or a note
    of its own; its weight is shared among the possible readings. Right readings pile up at the tuning,
    wrong ones scatter, so neither overtones nor chords pull the answer.
    """
    tones = _pitches(partials, steadiness(partials))
    cents, count, frame = tones.cents, tones.weight, tones.frame
    keep = np.flatnonzero(count > 0.0)
    cents, frame, count = cents[keep], frame[keep], count[keep]
    segment = np.minimum((frame * (partials.hop_seconds / SEGMENT_SECONDS)).astype(np.int64), segments - 1)
    series, below = series_of(cents, frame, partials.frames)
    shared = series.sum(axis=0)
    # Overtones 2, 4 and 8 lie on the grid by themselves: read as a note they would only add the stretch.
    own = np.where(shared == 1, 1.0, np.where(series[[1, 3, 7]].any(axis=0), 0.0, 1.0 - OWN))
    reading = count / (shared - 1.0 + own)
    stretch = stretch_of(cents, below, reading)
    counts = np.zeros(12 * segments * BINS)
    for order, mine in enumerate(series, start=1):
        root = cents[mine] - 1200.0 * np.log2(order)
        if order > 1:
            root -= np.minimum(stretch[octave_of(below[order - 1, mine])] * (order**2 - 1), STRETCH_CENTS)
        part = reading[mine] * (own if order == 1 else 1.0)
        note = np.floor(root / 100.0 + 0.5)
        place = (root - 100.0 * note + 50.0) * (BINS / 100.0) - 0.5
        row = ((note.astype(np.int64) % 12) * segments + segment[mine]) * BINS
        bin_ = np.floor(place).astype(np.int64)
        right = part * (place - bin_)
        counts += np.bincount(row + bin_ % BINS, part - right, counts.size)
        counts += np.bincount(row + (bin_ + 1) % BINS, right, counts.size)
    alone = np.where(series[[2, 4, 5, 6, 8, 9]].any(axis=0), 0.05, 1.0) * count
    key = np.clip(np.round(cents / 100.0).astype(np.int64) + 69, 0, 127)
    turn = alone * np.exp(2j * np.pi / 100.0 * cents)
    keys = np.stack(
        [
            np.bincount(key, turn.real, 128) + 1j * np.bincount(key, turn.imag, 128),
            np.bincount(key, alone, 128).astype(np.complex128),
        ]
    )
    seconds = np.count_nonzero(np.bincount(frame)) * partials.hop_seconds
    return Evidence(
        counts=counts.reshape(12, segments, BINS),
        keys=keys,
        strength=float(count.sum()) / seconds if seconds else 0.0,
        lead_share=tones.lead_share,
        means_agreement=tones.means_agreement,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tones:
    """Steady peaks, or chains of them; arrays of shape (n,)."""

    cents: NDArray[np.float64]
    weight: NDArray[np.float64]
    frame: NDArray[np.int32]
    lead_share: float
    means_agreement: float


def _pitches(partials: Partials, weight: NDArray[np.float64]) -> _Tones:
    """Pitch, weight and frame of each tone.

    A tone with vibrato shows as a chain of sidebands whose power centroid is its mean pitch. Drawing all
    chains together makes detuned synthesizers sharp, drawing none leaves vibrato 40 cents wrong; so
    chains are drawn together only where that makes the tones agree much better on one grid.
    """
    cents = partials.cents
    weight = weight * (partials.hz / 440.0) ** -0.5 * np.minimum(1.0, (partials.hz / DEEP_HZ) ** 2)
    steady = weight / (1.0 + (partials.blur_cents / BLUR_CENTS) ** 2)
    steady /= 1.0 + (partials.damping / DAMPING_BINS) ** 2
    if cents.size < 2:
        return _Tones(cents=cents, weight=steady, frame=partials.frame, lead_share=1.0, means_agreement=1.0)
    apart = (np.diff(cents) > CHAIN_CENTS) | (np.diff(partials.frame) != 0)
    starts = np.flatnonzero(np.concatenate([[True], apart]))
    power = 10.0 ** (partials.level_db.astype(np.float64) / 10.0)
    whole = np.add.reduceat(power, starts)
    middle = np.add.reduceat(power * cents, starts) / whole
    lead = np.maximum.reduceat(weight, starts) * (middle < 1200.0 * np.log2(CHAINS_BELOW_HZ / 440.0))
    alone = float((lead * np.maximum.reduceat(power, starts) / whole).sum() / max(float(lead.sum()), 1e-300))
    low = partials.hz < CHAINS_BELOW_HZ
    together = _agreement(middle, lead)
    if alone > WAVERING_SHARE and together < WAVERING_GAIN * _agreement(cents[low], steady[low]):
        middle, count, starts = cents, steady, np.arange(cents.size)
    else:
        # A window shorter than two turns of the vibrato finds centroids that still wander: it counts less.
        count = lead * together**2
    return _Tones(
        cents=middle,
        weight=count,
        frame=partials.frame[starts],
        lead_share=alone,
        means_agreement=together,
    )


def _agreement(cents: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """Resultant length of `cents` on the semitone circle."""
    turn = np.exp(2j * np.pi / 100.0 * cents)
    return float(abs((weight * turn).sum()) / max(float(weight.sum()), 1e-300))

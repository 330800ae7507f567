"""The tones of each frame: steady peaks, or chains of them that waver. Knows pitches, not notes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.tuning.peaks import Partials

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


def steadiness(partials: Partials) -> NDArray[np.float64]:
    """How far each partial counts, shape (n,): by dB over the floor, never by amplitude."""
    if partials.hz.size == 0:
        return np.zeros(0)
    weight = np.clip(partials.prominence_db - 8.0, 0.0, 25.0).astype(np.float64)
    weight *= partials.level_db > np.quantile(partials.level_db, 0.95) - QUIET_DB
    return np.asarray(weight, np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tones:
    """Steady peaks, or chains of them, with a weight over 0; arrays of shape (n,)."""

    cents: NDArray[np.float64]
    weight: NDArray[np.float64]
    level_db: NDArray[np.float32]
    """Of its strongest peak."""
    frame: NDArray[np.int32]
    lead_share: float
    means_agreement: float


def find_tones(partials: Partials) -> Tones:
    """Pitch, weight and frame of each tone.

    A tone with vibrato shows as a chain of sidebands whose power centroid is its mean pitch. Drawing all
    chains together makes detuned synthesizers sharp, drawing none leaves vibrato 40 cents wrong; so
    chains are drawn together only where that makes the tones agree much better on one grid.
    """
    cents = partials.cents
    weight = (
        steadiness(partials) * (partials.hz / 440.0) ** -0.5 * np.minimum(1.0, (partials.hz / DEEP_HZ) ** 2)
    )
    steady = weight / (1.0 + (partials.blur_cents / BLUR_CENTS) ** 2)
    steady /= 1.0 + (partials.damping / DAMPING_BINS) ** 2
    if cents.size < 2:
        return _weighty(cents, steady, partials.level_db, partials.frame, 1.0, 1.0)
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
    level = np.maximum.reduceat(partials.level_db, starts)
    return _weighty(middle, count, level, partials.frame[starts], alone, together)


def _weighty(
    cents: NDArray[np.float64],
    weight: NDArray[np.float64],
    level_db: NDArray[np.float32],
    frame: NDArray[np.int32],
    lead_share: float,
    means_agreement: float,
) -> Tones:
    keep = np.flatnonzero(weight > 0.0)
    return Tones(
        cents=cents[keep],
        weight=weight[keep],
        level_db=level_db[keep],
        frame=frame[keep],
        lead_share=lead_share,
        means_agreement=means_agreement,
    )


def _agreement(cents: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """Resultant length of `cents` on the semitone circle."""
    turn = np.exp(2j * np.pi / 100.0 * cents)
    return float(abs((weight * turn).sum()) / max(float(weight.sum()), 1e-300))

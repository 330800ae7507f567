"""Groups the spectral peaks of each frame into tones, so that vibrato counts at its mean pitch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.tuning.spectral.circle import resultant_length
from worker.tuning.spectral.peaks import SpectralPeaks

FREQUENCY_ERROR_CENTS = 2.5
"""A peak whose three frequency estimates differ by this much has half the weight."""
BASS_HZ = 100.0
"""Below, a semitone is narrower than the main lobe of the short window, so neighbouring notes interfere."""
DAMPING_BINS = 0.1
"""A peak that grows or decays this fast (an onset within the window) has half the weight."""
CHAIN_CENTS = 70.0
"""Adjacent peaks closer than this form a chain: the sidebands of one tone with vibrato."""
CHAINS_BELOW_HZ = 2200.0
"""Above, the overtones of one low note lie within CHAIN_CENTS of each other."""
VIBRATO_GAIN = 1.6
"""Minimum ratio of resultant lengths, chain centroids over single peaks, for vibrato. Vibrato of ±20 cents
has 1.9, of ±30 more than 5; 100 tracks without vibrato have at most 1.4."""
VIBRATO_PEAK_SHARE = 0.7
"""Below this share of a chain's power in its strongest peak there is vibrato: 100 tracks without have 0.74 to
0.99, deep vibrato has less than 0.68."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tones:
    """Stationary peaks, or chains of sidebands, with a positive weight; arrays of shape (n,)."""

    cents: NDArray[np.float64]
    weight: NDArray[np.float64]
    level_db: NDArray[np.float32]
    """Level of the strongest peak."""
    frame: NDArray[np.int32]
    peak_power_share: float
    """Share of a chain's power in its strongest peak, weighted mean; near 1 without vibrato."""
    centroid_resultant: float
    """Resultant length of the chains' centroids on the semitone circle."""


def find_tones(peaks: SpectralPeaks) -> Tones:
    """Pitch, weight and frame of each tone.

    A tone with vibrato appears as a chain of sidebands whose power centroid is its mean pitch. Centroids of
    all chains would make detuned synthesizers sharp; single peaks are up to 40 cents off under vibrato. So
    centroids replace peaks only where they agree much better on one semitone grid.
    """
    cents = peaks.cents
    weight = peaks.salience * np.sqrt(440.0 / peaks.hz) * np.minimum(1.0, (peaks.hz / BASS_HZ) ** 2)
    stationary = weight / (1.0 + (peaks.frequency_error_cents / FREQUENCY_ERROR_CENTS) ** 2)
    stationary /= 1.0 + (peaks.damping / DAMPING_BINS) ** 2
    if cents.size < 2:
        return _positive(cents, stationary, peaks.level_db, peaks.frame, 1.0, 1.0)
    breaks = (np.diff(cents) > CHAIN_CENTS) | (np.diff(peaks.frame) != 0)
    starts = np.flatnonzero(np.concatenate([[True], breaks]))
    power = peaks.power
    chain_power = np.add.reduceat(power, starts)
    centroid = np.add.reduceat(power * cents, starts) / chain_power
    chain_weight = np.maximum.reduceat(weight, starts) * (
        centroid < 1200.0 * np.log2(CHAINS_BELOW_HZ / 440.0)
    )
    peak_power_share = float(
        (chain_weight * np.maximum.reduceat(power, starts) / chain_power).sum()
        / max(float(chain_weight.sum()), 1e-300)
    )
    low = peaks.hz < CHAINS_BELOW_HZ
    centroid_resultant = resultant_length(centroid, chain_weight)
    if peak_power_share > VIBRATO_PEAK_SHARE and centroid_resultant < VIBRATO_GAIN * resultant_length(
        cents[low], stationary[low]
    ):
        centroid, tone_weight, starts = cents, stationary, np.arange(cents.size)
    else:
        # Centroids of a window shorter than two vibrato cycles still move, so they weigh less.
        tone_weight = chain_weight * centroid_resultant**2
    level = np.maximum.reduceat(peaks.level_db, starts)
    return _positive(centroid, tone_weight, level, peaks.frame[starts], peak_power_share, centroid_resultant)


def _positive(
    cents: NDArray[np.float64],
    weight: NDArray[np.float64],
    level_db: NDArray[np.float32],
    frame: NDArray[np.int32],
    peak_power_share: float,
    centroid_resultant: float,
) -> Tones:
    keep = np.flatnonzero(weight > 0.0)
    return Tones(
        cents=cents[keep],
        weight=weight[keep],
        level_db=level_db[keep],
        frame=frame[keep],
        peak_power_share=peak_power_share,
        centroid_resultant=centroid_resultant,
    )

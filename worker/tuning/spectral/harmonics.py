"""Harmonic matching: which fundamentals may each tone be a partial of?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.tuning.spectral.peak_table import make_peak_table
from worker.tuning.spectral.peaks import SpectralPeaks
from worker.tuning.spectral.tones import find_tones

HARMONICS = 12
"""Partials 2 to 12 count as measurements of their fundamental. 10 to 24 give the same accuracy."""
PARTIAL_PRIOR = 0.75
"""A tone with a possible fundamental more likely is a partial of it: as a fundamental it counts a quarter."""
SUSTAIN_FRAMES = 4
"""A tone has full weight after this many frames: struck strings start up to 2 cents sharp."""
SUSTAIN_START = 0.1
"""Weight of a tone's first frame."""
ONSET_DB = 0.5
"""A tone that grows by this much from one frame to the next has a new onset."""
ONSET_SUSTAIN_FRAMES = 6
ONSET_SUSTAIN_START = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class HarmonicMatches:
    """The tones of one window and their possible fundamentals; arrays of shape (n,) but for
    `fundamentals`."""

    cents: NDArray[np.float64]
    """From 440 Hz."""
    weight: NDArray[np.float64]
    share: NDArray[np.float64]
    """Weight of each match of the tone as a partial."""
    fundamental_share: NDArray[np.float64]
    """Weight of the tone as a fundamental, relative to `share`."""
    sustain: NDArray[np.float64]
    """0 to 1, growing with the time since the tone appeared."""
    sustain_since_onset: NDArray[np.float64] | None
    """0 to 1, growing with the time since its last onset; None for a window too long to resolve onsets."""
    seconds: NDArray[np.float64]
    """Time of the tone's frame."""
    fundamentals: NDArray[np.int32]
    """For each order, the index of the tone that would be its fundamental, or -1; shape (HARMONICS, n)."""
    sounding_seconds: float
    """Total time with any tone."""
    peak_power_share: float
    """See `Tones`."""
    centroid_resultant: float
    """See `Tones`."""


def match_harmonics(peaks: SpectralPeaks, *, track_onsets: bool = False) -> HarmonicMatches:
    """Finds the tones of `peaks` and matches each to its possible fundamentals.

    A tone with another tone at 1/h of its frequency in the same frame may be that tone's partial h or a
    fundamental itself; its weight is divided among these matches. With `track_onsets` the result also has
    `sustain_since_onset`.
    """
    tones = find_tones(peaks)
    table = make_peak_table(tones.cents, tones.frame, peaks.frame_count)
    fundamentals = np.empty((HARMONICS, tones.cents.size), np.int32)
    fundamentals[0] = np.arange(tones.cents.size)
    for order in range(2, HARMONICS + 1):
        fundamentals[order - 1] = table.peak_below(1200.0 * np.log2(order))
    matches = (fundamentals >= 0).sum(axis=0)
    # Partials 2, 4 and 8 lie on the grid themselves: as fundamentals they would only add their stretch.
    fundamental_share = np.where(
        matches == 1, 1.0, np.where((fundamentals[[1, 3, 7]] >= 0).any(axis=0), 0.0, 1.0 - PARTIAL_PRIOR)
    )
    sustain_since_onset = None
    if track_onsets:
        previous = table.previous_peak()
        growth = tones.level_db - tones.level_db[np.maximum(previous, 0)]
        sustain_since_onset = _ramp(
            table.age(ONSET_SUSTAIN_FRAMES, (previous >= 0) & (growth > ONSET_DB)),
            ONSET_SUSTAIN_FRAMES,
            ONSET_SUSTAIN_START,
        )
    return HarmonicMatches(
        cents=tones.cents,
        weight=tones.weight,
        share=tones.weight / (matches - 1.0 + fundamental_share),
        fundamental_share=fundamental_share,
        sustain=_ramp(table.age(SUSTAIN_FRAMES), SUSTAIN_FRAMES, SUSTAIN_START),
        sustain_since_onset=sustain_since_onset,
        seconds=tones.frame.astype(np.float64) * peaks.hop_seconds,
        fundamentals=fundamentals,
        sounding_seconds=np.count_nonzero(np.bincount(tones.frame)) * peaks.hop_seconds,
        peak_power_share=tones.peak_power_share,
        centroid_resultant=tones.centroid_resultant,
    )


def _ramp(age: NDArray[np.int64], full_age: int, start: float) -> NDArray[np.float64]:
    return np.asarray(np.clip((age - 1.0) / (full_age - 1), start, 1.0), np.float64)

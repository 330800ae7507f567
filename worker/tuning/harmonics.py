"""Each tone of one window, and the fundamentals that it may belong to. Knows pitches, not notes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.tuning.peak_table import lay_out
from worker.tuning.peaks import Partials
from worker.tuning.tones import find_tones

HARMONICS = 12
"""Overtones 2..12 count as measurements of their fundamental. 10 to 24 score alike."""
OWN = 0.75
"""A peak that may be an overtone more likely is one: its reading as a note of its own counts a quarter."""
SETTLED_FRAMES = 4
"""A tone counts full once it was there for so many frames: struck strings begin up to 2 cents sharp."""
YOUNGEST = 0.1
"""A tone's first frame counts a tenth."""
STRUCK_DB = 0.5
"""A tone that grows by so much from one frame to the next is struck or blown anew."""
LASTING_FRAMES = 6
LASTING_YOUNGEST = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class HarmonicMatches:
    """The tones of one window; arrays of shape (n,), but for `roots`."""

    cents: NDArray[np.float64]
    """From 440 Hz."""
    weight: NDArray[np.float64]
    part: NDArray[np.float64]
    """Weight of each of its readings as an overtone."""
    own: NDArray[np.float64]
    """What its reading as a note of its own weighs, as a share of `part`."""
    settled: NDArray[np.float64]
    """0 to 1: how long it has been there."""
    lasting: NDArray[np.float64] | None
    """0 to 1: how long it has been there since it was struck; None where the window is too long to tell."""
    seconds: NDArray[np.float64]
    """When it sounds."""
    roots: NDArray[np.int32]
    """For each order, the tone of the frame that would be its fundamental, or -1; shape (HARMONICS, n)."""
    sounding_seconds: float
    """How long any tone sounds."""
    lead_share: float
    means_agreement: float


def read(partials: Partials, *, strikes: bool = False) -> HarmonicMatches:
    """The tones of `partials` and their possible fundamentals.

    A tone with another one at its h-th part in the same frame may be that overtone or a note of its own;
    its weight is shared among the possible readings. With `strikes` it is told how long each lasts.
    """
    tones = find_tones(partials)
    table = lay_out(tones.cents, tones.frame, partials.frames)
    roots = np.empty((HARMONICS, tones.cents.size), np.int32)
    roots[0] = np.arange(tones.cents.size)
    for order in range(2, HARMONICS + 1):
        roots[order - 1] = table.lower(1200.0 * np.log2(order))
    shared = (roots >= 0).sum(axis=0)
    # Overtones 2, 4 and 8 lie on the grid by themselves: read as a note they would only add the stretch.
    own = np.where(shared == 1, 1.0, np.where((roots[[1, 3, 7]] >= 0).any(axis=0), 0.0, 1.0 - OWN))
    lasting = None
    if strikes:
        before = table.earlier()
        grown = tones.level_db - tones.level_db[np.maximum(before, 0)]
        lasting = _ripe(
            table.age(LASTING_FRAMES, (before >= 0) & (grown > STRUCK_DB)), LASTING_FRAMES, LASTING_YOUNGEST
        )
    return HarmonicMatches(
        cents=tones.cents,
        weight=tones.weight,
        part=tones.weight / (shared - 1.0 + own),
        own=own,
        settled=_ripe(table.age(SETTLED_FRAMES), SETTLED_FRAMES, YOUNGEST),
        lasting=lasting,
        seconds=tones.frame.astype(np.float64) * partials.hop_seconds,
        roots=roots,
        sounding_seconds=np.count_nonzero(np.bincount(tones.frame)) * partials.hop_seconds,
        lead_share=tones.lead_share,
        means_agreement=tones.means_agreement,
    )


def _ripe(age: NDArray[np.int64], full: int, youngest: float) -> NDArray[np.float64]:
    return np.asarray(np.clip((age - 1.0) / (full - 1), youngest, 1.0), np.float64)

"""Partials made up from frames and pitches: equally loud, steady and clear."""

from collections.abc import Sequence

import numpy as np

from worker.partials import Partials


def of_peaks(peaks: Sequence[tuple[int, float]]) -> Partials:
    """From pairs of frame and cents over 440 Hz, in any order."""
    ordered = np.array(sorted(peaks)).reshape(-1, 2)
    n = len(ordered)
    return Partials(
        frame=ordered[:, 0].astype(np.int32),
        hz=440.0 * 2.0 ** (ordered[:, 1] / 1200.0),
        level_db=np.zeros(n, np.float32),
        prominence_db=np.full(n, 30.0, np.float32),
        blur_cents=np.zeros(n),
        damping=np.zeros(n, np.float32),
        frames=int(ordered[:, 0].max(initial=0)) + 1,
        hop_seconds=0.1,
        bin_hz=2.7,
        mean_power=np.zeros(8),
        first_bin=0,
    )

"""Partials made up from frames and pitches: steady and clear."""

from collections.abc import Sequence

import numpy as np

from worker.tuning.peaks import Partials


def make_peaks(peaks: Sequence[tuple[int, float] | tuple[int, float, float]]) -> Partials:
    """From frame, cents over 440 Hz and level in dB, of which 0 may be left out, in any order."""
    ordered = np.array(sorted((*peak, 0.0)[:3] for peak in peaks)).reshape(-1, 3)
    n = len(ordered)
    return Partials(
        frame=ordered[:, 0].astype(np.int32),
        hz=440.0 * 2.0 ** (ordered[:, 1] / 1200.0),
        level_db=ordered[:, 2].astype(np.float32),
        prominence_db=np.full(n, 30.0, np.float32),
        blur_cents=np.zeros(n),
        damping=np.zeros(n, np.float32),
        frames=int(ordered[:, 0].max(initial=0)) + 1,
        hop_seconds=0.1,
        bin_hz=2.7,
        mean_power=np.zeros(8),
        first_bin=0,
    )

"""Artificial spectral peaks: steady and clear."""

from collections.abc import Sequence

import numpy as np

from worker.tuning.spectral.peaks import SpectralPeaks


def make_peaks(peaks: Sequence[tuple[int, float] | tuple[int, float, float]]) -> SpectralPeaks:
    """Peaks from tuples of frame, cents above 440 Hz and level in dB (default 0), in any order."""
    ordered = np.array(sorted((*peak, 0.0)[:3] for peak in peaks)).reshape(-1, 3)
    n = len(ordered)
    return SpectralPeaks(
        frame=ordered[:, 0].astype(np.int32),
        hz=440.0 * 2.0 ** (ordered[:, 1] / 1200.0),
        level_db=ordered[:, 2].astype(np.float32),
        prominence_db=np.full(n, 30.0, np.float32),
        frequency_error_cents=np.zeros(n),
        damping=np.zeros(n, np.float32),
        frame_count=int(ordered[:, 0].max(initial=0)) + 1,
        hop_seconds=0.1,
        bin_hz=2.7,
        power_spectrum=np.zeros(8),
        first_bin=0,
    )

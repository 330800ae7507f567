"""Follows the tuning over time, in segments of ten seconds."""

from worker.tuning.grid_fit import GridFit, fit_grid
from worker.tuning.pitch_histogram import PitchHistogram
from worker.tuning.spectral.circle import wrap


def measure_drift(histogram: PitchHistogram, fit: GridFit) -> tuple[float | None, ...]:
    """Tuning of each segment relative to the whole, in cents; None where it is too uncertain."""
    drift: list[float | None] = []
    for index in range(histogram.counts.shape[1]):
        segment = slice(index, index + 1)
        local = fit_grid(histogram.counts[:, segment], histogram.sustained[:, segment])
        clear = (
            local is not None
            and local.peak_share > 0.1
            and local.second_peak_ratio < 0.85
            and local.note_error < 5.0
        )
        drift.append(round(wrap(local.cents - fit.cents), 2) if local is not None and clear else None)
    return tuple(drift)


def drift_range(drift: tuple[float | None, ...]) -> float:
    """The largest step between what comes before and after any moment, in cents.

    Each side has at least two segments if there are four or more, so that one outlier is not a step.
    """
    known = [value for value in drift if value is not None]
    margin = 2 if len(known) >= 4 else 1
    splits = range(margin, len(known) - margin + 1)
    return max((_step(known[:split], known[split:]) for split in splits), default=0.0)


def _step(before: list[float], after: list[float]) -> float:
    """Distance of the medians; of two middle values the nearer one counts, so that outliers don't matter."""
    return min(abs(a - b) for a in _middle(before) for b in _middle(after))


def _middle(values: list[float]) -> list[float]:
    return sorted(values)[(len(values) - 1) // 2 : len(values) // 2 + 1]

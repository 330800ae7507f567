"""Is there one tone and nothing else? A sine, a tuning fork, a bowl. Peaks in, a pitch out.

Counting peaks by decibels over the floor serves music; here it would let a codec's remains of noise,
or the three inharmonic partials of a bowl, outvote the tone that everybody hears. So power decides.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.tuning.peaks import Partials
from worker.tuning.pitch_histogram import SEGMENT_SECONDS

LINE_CENTS = 25.0
"""Two partials that beat, as every bowl's do, are heard as one tone."""
TOP_CENTS = 15.0
QUIET_DB = 45.0
"""Frames this far under the loudest are not asked."""
LASTING = 0.85
"""Share of frames in which the tone is the strongest peak: bowls and bells 0.85 to 1, music and drums up
to 0.81, nearly all under 0.6."""
UNBROKEN = 0.5
"""Share of frames with any peak between its first and its last: of sirens and chirps few have one."""
OUTWEIGHS = 0.85
"""Share of the power in the median frame, with LASTING: bowls and bells 0.88 to 1."""
ROUGH_DB = 8.0
"""Nine in ten steps from frame to frame are smaller: beats 1 to 6, drums and notes that are struck 12
and more."""
PURE = 0.98
"""Share of the power, with its overtones, in nine of ten frames: sines through codecs and in noise of
-6 dB 0.99 and more, bowls up to 0.96."""
OVERTONES = 32
"""All but 1.3 % of a square wave's power lies below."""
WIDE_OVERTONES = 8
"""Further up they are looked for ever closer, or all that sounds would be near one of them."""
CARRIER = 0.7
"""Share of the line's power in its strongest partial: vibrato and tremolo leave it 0.75 and more, two
partials that beat 0.5."""
CLEAR_DB = 16.0
"""Over the floor in the median frame: a sine in noise of -6 dB 26, the one stray peak of a chirp 10 to 11."""
RINGS_SECONDS = 2.0
"""A drum's single stroke is over sooner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleTone:
    """The tone that outweighs all else."""

    hz: float
    """Power mean."""
    error_cents: float
    """Standard deviation of its seconds, or of its partials where they beat: either may be meant."""
    pure: bool
    """Nothing else sounds but its own overtones; otherwise partials that are no overtones ring with it."""
    overtones: bool
    """Whether it has any to speak of."""
    drift_cents: tuple[float | None, ...]
    """By segment, from `hz`; None where it does not sound."""


def find_single_tone(partials: Partials, strongest_hz: float, segments: int) -> SingleTone | None:
    """The tone at `strongest_hz` if it is the only one, all along; None for music, drums and noise."""
    if partials.hz.size == 0:
        return None
    cents = 1200.0 * np.log2(partials.hz / strongest_hz)
    mine = np.flatnonzero(np.abs(cents) < LINE_CENTS)
    if np.median(partials.prominence_db[mine]) < CLEAR_DB:
        return None
    starts = np.flatnonzero(np.diff(partials.frame, prepend=-1))
    loudest = np.maximum.reduceat(partials.level_db, starts)
    frame = partials.frame[starts]
    asked = loudest > loudest.max() - QUIET_DB
    row = np.searchsorted(frame, partials.frame[mine])
    level = partials.level_db[mine]
    top = np.zeros(frame.size, np.bool_)
    top[row[(level >= loudest[row]) & (np.abs(cents[mine]) < TOP_CENTS)]] = True
    sounding = frame[asked]
    if sounding.size < UNBROKEN * (int(sounding[-1]) - int(sounding[0]) + 1) or np.mean(top[asked]) < LASTING:
        return None
    power = 10.0 ** (partials.level_db.astype(np.float64) / 10.0)
    whole = np.add.reduceat(power, starts)
    line = np.bincount(row, power[mine], frame.size)
    steps = np.abs(np.diff(10.0 * np.log10(np.maximum(line[asked], 1e-12))))
    if steps.size and np.quantile(steps, 0.9) > ROUGH_DB:
        return None
    pure = bool(np.quantile((_series(cents, power, starts) / whole)[asked], 0.1) > PURE)
    seconds = np.count_nonzero(asked) * partials.hop_seconds
    if not pure and (np.median((line / whole)[asked]) < OUTWEIGHS or seconds < RINGS_SECONDS):
        return None
    weight, away = power[mine], cents[mine]
    middle = float((weight * away).sum() / weight.sum())
    seconds_of = partials.frame[mine] * partials.hop_seconds
    steady = (
        pure and np.median((_loudest(weight, row, frame.size) / np.maximum(line, 1e-300))[asked]) > CARRIER
    )
    if steady:
        middles, sums = _by_part(seconds_of.astype(np.int64), away - middle, weight)
        spread = _deviation(middles[sums > 0.0], sums[sums > 0.0])
    else:
        spread = _deviation(away - middle, weight)
    part = np.minimum((seconds_of / SEGMENT_SECONDS).astype(np.int64), segments - 1)
    moved, total = _by_part(part, away - middle, weight, segments)
    return SingleTone(
        hz=strongest_hz * 2.0 ** (middle / 1200.0),
        error_cents=spread,
        pure=pure,
        overtones=bool(np.quantile((line / whole)[asked], 0.1) <= PURE),
        drift_cents=tuple(round(float(m), 2) if t > 0.0 else None for m, t in zip(moved, total, strict=True)),
    )


def _series(
    cents: NDArray[np.float64], power: NDArray[np.float64], starts: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Power of the tone and its overtones in each frame."""
    order = np.clip(np.round(2.0 ** (cents / 1200.0)), 1, OVERTONES)
    near = np.abs(cents - 1200.0 * np.log2(order)) < LINE_CENTS * np.minimum(1.0, WIDE_OVERTONES / order)
    return np.asarray(np.add.reduceat(power * near, starts), np.float64)


def _loudest(weight: NDArray[np.float64], row: NDArray[np.intp], rows: int) -> NDArray[np.float64]:
    """The largest weight in each row, shape (rows,)."""
    largest = np.zeros(rows)
    np.maximum.at(largest, row, weight)
    return largest


def _by_part(
    part: NDArray[np.int64], cents: NDArray[np.float64], weight: NDArray[np.float64], parts: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of `cents` in each part, and its weight."""
    total = np.bincount(part, weight, parts)
    mean = np.bincount(part, weight * cents, parts) / np.maximum(total, 1e-300)
    return mean, np.asarray(total, np.float64)


def _deviation(cents: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """Standard deviation around 0."""
    return float(np.sqrt((weight * cents**2).sum() / weight.sum()))

"""Detects recordings of a single tone: a sine, a tuning fork, a singing bowl.

The tuning histogram weighs peaks by their height above the noise floor, which suits music. Here it would let
the noise of a codec, or the three inharmonic partials of a bowl, outvote the tone that listeners hear. So
this module compares power.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.tuning.pitch_histogram import SEGMENT_SECONDS
from worker.tuning.spectral.peaks import SpectralPeaks

LINE_CENTS = 25.0
"""Two partials this close beat, as in every bowl, and are heard as one tone."""
STRONGEST_CENTS = 15.0
QUIET_DB = 45.0
"""Frames this far below the loudest are ignored."""
MIN_STRONGEST_SHARE = 0.85
"""Share of frames in which the tone is the strongest peak: bowls and bells 0.85 to 1, music and drums up to
0.81, nearly all below 0.6."""
MIN_SOUNDING_SHARE = 0.5
"""Share of frames with any peak between the first and the last: few in sirens and chirps."""
MIN_POWER_SHARE = 0.85
"""Share of the power in the median frame: bowls and bells 0.88 to 1."""
MAX_STEP_DB = 8.0
"""The 90th percentile of level changes between frames: beats 1 to 6, drums and struck notes 12 or more."""
MIN_PURE_SHARE = 0.98
"""Share of the power, with harmonics, in nine of ten frames: sines in codecs and in noise of -6 dB 0.99 or
more, bowls up to 0.96."""
HARMONICS = 32
"""All but 1.3 % of the power of a square wave lies below."""
WIDE_HARMONICS = 8
"""The tolerance shrinks above this order, because harmonics get dense."""
CARRIER_SHARE = 0.7
"""Share of the line's power in its strongest peak: vibrato and tremolo leave 0.75 or more, beating partials
0.5."""
MIN_PROMINENCE_DB = 16.0
"""Above the noise floor in the median frame: a sine in noise of -6 dB 26, a chirp's stray peak 10 to 11."""
MIN_RINGING_SECONDS = 2.0
"""The stroke of a drum is shorter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleTone:
    """The tone that outweighs everything else."""

    hz: float
    """Power-weighted mean."""
    error_cents: float
    """Standard deviation over seconds, or over its partials where they beat: either may be the pitch."""
    pure: bool
    """Only the tone and its harmonics sound; otherwise inharmonic partials ring with it."""
    has_harmonics: bool
    """Whether its harmonics have notable power."""
    drift_cents: tuple[float | None, ...]
    """By segment, from `hz`; None where the tone does not sound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """The peaks within LINE_CENTS of the strongest pitch, and their frames."""

    cents: NDArray[np.float64]
    """All peaks, from the strongest pitch; shape (n,)."""
    power: NDArray[np.float64]
    """All peaks, shape (n,)."""
    members: NDArray[np.intp]
    """Indices of the peaks of the line, shape (m,)."""
    row: NDArray[np.intp]
    """For each of `members`, the row of its frame."""
    frame: NDArray[np.int32]
    """Frames with any peak, shape (rows,)."""
    starts: NDArray[np.intp]
    """Where the peaks of each row begin, shape (rows,)."""
    loud: NDArray[np.bool_]
    """Rows that are not quiet, shape (rows,)."""
    share: NDArray[np.float64]
    """The line's share of the power of each row."""
    line_power: NDArray[np.float64]


def find_single_tone(peaks: SpectralPeaks, strongest_hz: float, segments: int) -> SingleTone | None:
    """The tone at `strongest_hz` if it is the only one throughout; None for music, drums and noise."""
    if peaks.hz.size == 0:
        return None
    line = _find_line(peaks, strongest_hz)
    if line is None:
        return None
    pure = bool(np.quantile(_harmonic_share(line)[line.loud], 0.1) > MIN_PURE_SHARE)
    seconds = np.count_nonzero(line.loud) * peaks.hop_seconds
    if not pure and (np.median(line.share[line.loud]) < MIN_POWER_SHARE or seconds < MIN_RINGING_SECONDS):
        return None
    weight, cents = line.power[line.members], line.cents[line.members]
    mean = float((weight * cents).sum() / weight.sum())
    time = peaks.frame[line.members].astype(np.float64) * peaks.hop_seconds
    segment = np.minimum((time / SEGMENT_SECONDS).astype(np.int64), segments - 1)
    drift, segment_weight = _means(segment, cents - mean, weight, segments)
    return SingleTone(
        hz=strongest_hz * 2.0 ** (mean / 1200.0),
        error_cents=_error(line, cents - mean, weight, time, pure=pure),
        pure=pure,
        has_harmonics=bool(np.quantile(line.share[line.loud], 0.1) <= MIN_PURE_SHARE),
        drift_cents=tuple(
            round(float(m), 2) if w > 0.0 else None for m, w in zip(drift, segment_weight, strict=True)
        ),
    )


def _find_line(peaks: SpectralPeaks, strongest_hz: float) -> _Line | None:
    """The line of the strongest pitch, or None if it is weak, interrupted or struck."""
    cents = peaks.cents - 1200.0 * np.log2(strongest_hz / 440.0)
    members = np.flatnonzero(np.abs(cents) < LINE_CENTS)
    if np.median(peaks.prominence_db[members]) < MIN_PROMINENCE_DB:
        return None
    starts = np.flatnonzero(np.diff(peaks.frame, prepend=-1))
    loudest = np.maximum.reduceat(peaks.level_db, starts)
    frame = peaks.frame[starts]
    loud = loudest > loudest.max() - QUIET_DB
    row = np.searchsorted(frame, peaks.frame[members])
    level = peaks.level_db[members]
    strongest = np.zeros(frame.size, np.bool_)
    strongest[row[(level >= loudest[row]) & (np.abs(cents[members]) < STRONGEST_CENTS)]] = True
    sounding = frame[loud]
    if (
        sounding.size < MIN_SOUNDING_SHARE * (int(sounding[-1]) - int(sounding[0]) + 1)
        or np.mean(strongest[loud]) < MIN_STRONGEST_SHARE
    ):
        return None
    power = peaks.power
    line_power = np.asarray(np.bincount(row, power[members], frame.size), np.float64)
    steps = np.abs(np.diff(10.0 * np.log10(np.maximum(line_power[loud], 1e-12))))
    if steps.size and np.quantile(steps, 0.9) > MAX_STEP_DB:
        return None
    return _Line(
        cents=cents,
        power=power,
        members=members,
        row=row,
        frame=frame,
        starts=starts,
        loud=loud,
        share=line_power / np.add.reduceat(power, starts),
        line_power=line_power,
    )


def _harmonic_share(line: _Line) -> NDArray[np.float64]:
    """Share of the tone and its harmonics in the power of each row."""
    order = np.clip(np.round(2.0 ** (line.cents / 1200.0)), 1, HARMONICS)
    tolerance = LINE_CENTS * np.minimum(1.0, WIDE_HARMONICS / order)
    near = np.abs(line.cents - 1200.0 * np.log2(order)) < tolerance
    harmonic = np.add.reduceat(line.power * near, line.starts)
    return np.asarray(harmonic / np.add.reduceat(line.power, line.starts), np.float64)


def _error(
    line: _Line,
    cents: NDArray[np.float64],
    weight: NDArray[np.float64],
    time: NDArray[np.float64],
    *,
    pure: bool,
) -> float:
    """Standard deviation over seconds for a steady tone, over its peaks for partials that beat."""
    largest = np.zeros(line.frame.size)
    np.maximum.at(largest, line.row, weight)
    carrier = np.median((largest / np.maximum(line.line_power, 1e-300))[line.loud])
    if not (pure and carrier > CARRIER_SHARE):
        return _standard_deviation(cents, weight)
    means, sums = _means(time.astype(np.int64), cents, weight)
    return _standard_deviation(means[sums > 0.0], sums[sums > 0.0])


def _means(
    part: NDArray[np.int64], cents: NDArray[np.float64], weight: NDArray[np.float64], parts: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted mean of `cents` in each part, and its weight."""
    total = np.bincount(part, weight, parts)
    mean = np.bincount(part, weight * cents, parts) / np.maximum(total, 1e-300)
    return mean, np.asarray(total, np.float64)


def _standard_deviation(cents: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """Around 0."""
    return float(np.sqrt((weight * cents**2).sum() / weight.sum()))

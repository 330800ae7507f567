"""Mono samples to a TuningReport. Pure arithmetic: no path, clock, log or random number.

The story: `lowband` cleans and decimates, `partials` finds sine-like peaks in two window lengths,
`lone_tone` asks whether one of them is all there is, `evidence` counts them on the semitone circle,
`temperaments` straightens unequal scales, `grid` fits it, `settling` tells where struck tones come to rest,
`verdict` decides what may be said.
"""

import math
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from shared.domain.report import ANALYSIS_VERSION, Reason, Spectrum, TuningReport, Verdict
from worker.tuning.grid_fit import GridFit, attack_offset_of, fit_grid, wrap
from worker.tuning.harmonics import read
from worker.tuning.inharmonicity import inharmonicity_of
from worker.tuning.note_spread import note_spread_of
from worker.tuning.peaks import Partials, find_partials
from worker.tuning.pitch_histogram import SEGMENT_SECONDS, PitchHistogram, gather
from worker.tuning.resample import ResampledAudio, low_band
from worker.tuning.single_tone import SingleTone, find_single_tone
from worker.tuning.steady_tones import agreeing_cells, find_steady_tones
from worker.tuning.summary import dominant_hz, histogram_of, note_of, spectrum_of
from worker.tuning.temperaments import find_unequal_scale, straightened
from worker.tuning.verdict import (
    LEAD_SHARE,
    MOVES_CENTS,
    SCATTERED_CENTS,
    Decision,
    Features,
    also_fits,
    judge,
    judge_tone,
    name_of,
    nearest_standard,
)

WINDOWS_SECONDS = (0.37, 0.74)
"""The short one follows melodies, the long one tells bass notes apart; each alone does worse."""
OVERLAP = 4
SHORTEST_SECONDS = 0.45
"""One short window and its margins."""
LONE_AGREEMENT = 0.9
"""One pitch class only, and steady: a tuning fork, a sine, a drone."""
FEW_NOTES = 3.0
"""Pitch classes of a melody: a bowl's partials have 2.4 to 2.7, hum and drones under music leave more."""
MELODY_CONFIDENCE = 0.8
"""Under hum of up to 24 dB music has 0.85 and more; one low sawtooth, read as a scale, 0.7."""
LONE_STRENGTH = 40.0
"""A sine has 100 and more; of sirens and chirps hardly a peak stands still, and the few agree by chance."""


def measure_tuning(samples: NDArray[np.float32], sample_rate: int) -> TuningReport:
    """The tuning of mono `samples`, shape (n,), at `sample_rate` Hz; any length, NaN and Inf allowed."""
    if samples.size < SHORTEST_SECONDS * sample_rate:
        return _without_partials(Reason.TOO_SHORT)
    low = low_band(samples, sample_rate)
    if low.samples.size == 0:
        return _without_partials(Reason.SILENT)
    segments = max(1, math.ceil(samples.size / sample_rate / SEGMENT_SECONDS - 0.2))
    short = find_partials(low, window_seconds=WINDOWS_SECONDS[0], overlap=OVERLAP)
    long = find_partials(low, window_seconds=WINDOWS_SECONDS[1], overlap=OVERLAP)
    picture = spectrum_of(short)
    windows = [read(short, strikes=True)]
    if long.frames:
        windows.append(read(long))
    stretch = inharmonicity_of(windows)
    heard = reduce(add, (gather(window, stretch, segments) for window in windows))
    fit = fit_grid(heard.counts, heard.placed)
    if fit is None:
        return _without_partials(Reason.NOISE_LIKE, spectrum=picture)
    return _report(low, short, heard, fit, picture)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """One way to hear the recording: as a lone tone, or as notes of a scale."""

    cents: float
    """Of its A, from 440 Hz."""
    drift: tuple[float | None, ...]
    judged: Decision
    remarks: dict[str, bool]
    temperament: str | None = None


def _report(
    low: ResampledAudio, partials: Partials, heard: PitchHistogram, fit: GridFit, picture: Spectrum | None
) -> TuningReport:
    """All fields from what was found."""
    strongest = dominant_hz(partials)
    note, note_cents = note_of(strongest) if strongest else (None, None)
    tone = find_single_tone(partials, strongest, heard.counts.shape[1]) if strongest else None
    reading = _as_scale(partials, heard, fit)
    if tone is not None:
        alone = _as_tone(tone)
        reading = reading if _outdoes(reading.judged, heard, alone.judged) else alone
    a4_hz = 440.0 * 2.0 ** (reading.cents / 1200.0)
    judged = reading.judged
    remarks = {"clipped": low.clipped} | reading.remarks
    return TuningReport(
        verdict=Verdict.INCONCLUSIVE if judged.reason else name_of(a4_hz, judged.uncertainty_cents),
        confidence=judged.confidence,
        reason=judged.reason,
        remarks=tuple(code for code, true in remarks.items() if true),
        temperament=reading.temperament,
        a4_hz=a4_hz,
        uncertainty_cents=judged.uncertainty_cents,
        deviation_440_cents=reading.cents,
        deviation_432_cents=1200.0 * math.log2(a4_hz / 432.0),
        nearest_standard_hz=nearest_standard(a4_hz),
        also_fits_hz=also_fits(a4_hz),
        drift_cents=reading.drift,
        dominant_hz=strongest,
        dominant_note=note,
        dominant_cents=note_cents,
        histogram=histogram_of(heard.counts),
        spectrum=picture,
        analysis_version=ANALYSIS_VERSION,
    )


def _outdoes(scale: Decision, heard: PitchHistogram, tone: Decision) -> bool:
    """Whether music is heard under what seems to be a lone tone: under hum, or a drone."""
    enough = min(MELODY_CONFIDENCE, tone.confidence)
    return scale.reason is None and scale.confidence > enough and heard.pitch_classes > FEW_NOTES


def _as_tone(tone: SingleTone) -> _Reading:
    """The nearest note's tuning is the answer: nobody can know which note was meant."""
    drift_range = _range(tone.drift_cents)
    return _Reading(
        cents=wrap(1200.0 * math.log2(tone.hz / 440.0)),
        drift=tone.drift_cents,
        judged=judge_tone(tone.error_cents, pure=tone.pure, drift_range=drift_range),
        remarks={
            "pure_tone": tone.pure and not tone.overtones,
            "single_tone": not tone.pure,
            "few_notes": True,
            "tuning_moves": drift_range > MOVES_CENTS,
        },
    )


def _as_scale(partials: Partials, heard: PitchHistogram, fit: GridFit) -> _Reading:
    """Equal steps, or unequal ones that fit better."""
    scale = find_unequal_scale(heard.counts)
    if scale is not None:
        heard = straightened(heard, scale)
        fit = fit_grid(heard.counts, heard.placed) or fit
    drift = _drift(heard, fit)
    drift_range = _range(drift)
    scatter = note_spread_of(heard.counts, fit.cents)
    sung = heard.lead_share < LEAD_SHARE and scatter.spread_cents > SCATTERED_CENTS
    lone = heard.pitch_classes < 1.3 and heard.agreement > LONE_AGREEMENT and heard.strength > LONE_STRENGTH
    judged = judge(
        Features(
            evidence=heard.notes * heard.agreement**2,
            agreement=heard.agreement,
            strength=heard.strength,
            cells=agreeing_cells(heard),
            tones=find_steady_tones(partials).agreeing(scale),
            rival=fit.rival,
            quarter=fit.quarter,
            note_error=math.hypot(fit.note_error, scatter.error_cents, scale.doubt_cents if scale else 0.0),
            time_error=fit.time_error,
            drift_range=drift_range,
            lone_tone=lone,
            lead_share=heard.lead_share,
            means_agreement=heard.means_agreement,
        )
    )
    sure = judged.reason is None
    return _Reading(
        # Where every note is sung a little differently, their mean tells more than their fullest place.
        cents=wrap(fit.cents + (scatter.mean_cents if sung else attack_offset_of(heard, fit.cents))),
        drift=drift,
        judged=judged,
        remarks={
            "pure_tone": lone and heard.notes < 1.3,
            "few_notes": sure and heard.pitch_classes < FEW_NOTES,
            "tuning_moves": drift_range > MOVES_CENTS,
            "not_tempered": sure and scale is not None,
        },
        temperament=scale.name if sure and scale else None,
    )


def _drift(heard: PitchHistogram, fit: GridFit) -> tuple[float | None, ...]:
    """Tuning of each ten seconds relative to the whole, None where too little was heard."""
    found: list[float | None] = []
    for index in range(heard.counts.shape[1]):
        local = fit_grid(heard.counts[:, index : index + 1], heard.placed[:, index : index + 1])
        clear = local is not None and local.share > 0.1 and local.rival < 0.85 and local.note_error < 5.0
        found.append(round(wrap(local.cents - fit.cents), 2) if local is not None and clear else None)
    return tuple(found)


def _range(drift: tuple[float | None, ...]) -> float:
    """The largest step between what comes before and after any moment, in cents.

    Two stretches or more on either side, where there are four: one stray is not a move.
    """
    told = [value for value in drift if value is not None]
    least = 2 if len(told) >= 4 else 1
    return max((_step(told[:at], told[at:]) for at in range(least, len(told) - least + 1)), default=0.0)


def _step(before: list[float], after: list[float]) -> float:
    """Between their medians; of two middle values the nearer counts, lest one stray make a step."""
    return min(abs(a - b) for a in _middle(before) for b in _middle(after))


def _middle(values: list[float]) -> list[float]:
    return sorted(values)[(len(values) - 1) // 2 : len(values) // 2 + 1]


def _without_partials(reason: Reason, *, spectrum: Spectrum | None = None) -> TuningReport:
    return TuningReport(
        verdict=Verdict.INCONCLUSIVE,
        confidence=0.0,
        reason=reason,
        spectrum=spectrum,
        analysis_version=ANALYSIS_VERSION,
    )

"""Mono samples to a TuningReport. Pure arithmetic: no path, clock, log or random number.

The story: `lowband` cleans and decimates, `partials` finds sine-like peaks in two window lengths,
`evidence` counts them on the semitone circle, `grid` fits it, `verdict` decides what may be said.
"""

import math

import numpy as np
from numpy.typing import NDArray

from shared.report import ANALYSIS_VERSION, Reason, Spectrum, TuningReport, Verdict
from worker.evidence import SEGMENT_SECONDS, Evidence, gather
from worker.grid import GridFit, fit_grid, wrap
from worker.lowband import LowBand, low_band
from worker.partials import Partials, find_partials
from worker.pictures import dominant_hz, histogram_of, note_of, spectrum_of
from worker.verdict import (
    MOVES_CENTS,
    Findings,
    Judgement,
    also_fits,
    judge,
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


def measure_tuning(samples: NDArray[np.float32], sample_rate: int) -> TuningReport:
    """The tuning of mono `samples`, shape (n,), at `sample_rate` Hz; any length, NaN and Inf allowed."""
    if samples.size < SHORTEST_SECONDS * sample_rate:
        return _without_partials(Reason.TOO_SHORT)
    low = low_band(samples, sample_rate)
    if low.samples.size == 0:
        return _without_partials(Reason.SILENT)
    segments = max(1, math.ceil(samples.size / sample_rate / SEGMENT_SECONDS - 0.2))
    short = find_partials(low, window_seconds=WINDOWS_SECONDS[0], overlap=OVERLAP)
    heard = gather(short, segments)
    picture = spectrum_of(short)
    long = find_partials(low, window_seconds=WINDOWS_SECONDS[1], overlap=OVERLAP)
    if long.frames:
        heard = heard + gather(long, segments)
    fit = fit_grid(heard.counts)
    if fit is None:
        return _without_partials(Reason.NOISE_LIKE, spectrum=picture)
    return _report(low, short, heard, fit, picture)


def _report(
    low: LowBand, partials: Partials, heard: Evidence, fit: GridFit, picture: Spectrum | None
) -> TuningReport:
    """All fields from what was found."""
    drift = _drift(heard, fit)
    drift_range = _range(drift)
    lone = heard.pitch_classes < 1.3 and heard.agreement > LONE_AGREEMENT
    judged = judge(
        Findings(
            evidence=heard.notes * heard.agreement**2,
            agreement=heard.agreement,
            strength=heard.strength,
            rival=fit.rival,
            quarter=fit.quarter,
            note_error=fit.note_error,
            time_error=fit.time_error,
            drift_range=drift_range,
            lone_tone=lone,
        )
    )
    a4_hz = 440.0 * 2.0 ** (fit.cents / 1200.0)
    strongest = dominant_hz(partials)
    note, note_cents = note_of(strongest) if strongest else (None, None)
    return TuningReport(
        verdict=Verdict.INCONCLUSIVE if judged.reason else name_of(a4_hz, judged.uncertainty_cents),
        confidence=judged.confidence,
        reason=judged.reason,
        remarks=_remarks(low, heard, judged, lone=lone, drift_range=drift_range),
        a4_hz=a4_hz,
        uncertainty_cents=judged.uncertainty_cents,
        deviation_440_cents=fit.cents,
        deviation_432_cents=1200.0 * math.log2(a4_hz / 432.0),
        nearest_standard_hz=nearest_standard(a4_hz),
        also_fits_hz=also_fits(a4_hz),
        drift_cents=drift,
        dominant_hz=strongest,
        dominant_note=note,
        dominant_cents=note_cents,
        histogram=histogram_of(heard.counts),
        spectrum=picture,
        analysis_version=ANALYSIS_VERSION,
    )


def _drift(heard: Evidence, fit: GridFit) -> tuple[float | None, ...]:
    """Tuning of each ten seconds relative to the whole, None where too little was heard."""
    found: list[float | None] = []
    for index in range(heard.counts.shape[1]):
        local = fit_grid(heard.counts[:, index : index + 1])
        clear = local is not None and local.share > 0.1 and local.rival < 0.85 and local.note_error < 5.0
        found.append(round(wrap(local.cents - fit.cents), 2) if local is not None and clear else None)
    return tuple(found)


def _range(drift: tuple[float | None, ...]) -> float:
    """The largest step between what comes before and after any moment, in cents.

    Medians of two stretches or more on either side, where there are four: one stray is not a move.
    """
    told = [value for value in drift if value is not None]
    least = 2 if len(told) >= 4 else 1
    steps = [
        abs(float(np.median(told[:at]) - np.median(told[at:]))) for at in range(least, len(told) - least + 1)
    ]
    return max(steps, default=0.0)


def _remarks(
    low: LowBand, heard: Evidence, judged: Judgement, *, lone: bool, drift_range: float
) -> tuple[str, ...]:
    """Short codes of what a reader should know beside the verdict."""
    notes = {
        "clipped": low.clipped,
        "pure_tone": lone and heard.notes < 1.3,
        "few_notes": judged.reason is None and heard.pitch_classes < 3.0,
        "tuning_moves": drift_range > MOVES_CENTS,
        "not_tempered": judged.reason is None and not lone and heard.agreement < 0.35,
    }
    return tuple(code for code, true in notes.items() if true)


def _without_partials(reason: Reason, *, spectrum: Spectrum | None = None) -> TuningReport:
    return TuningReport(
        verdict=Verdict.INCONCLUSIVE,
        confidence=0.0,
        reason=reason,
        spectrum=spectrum,
        analysis_version=ANALYSIS_VERSION,
    )

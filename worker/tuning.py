"""Mono samples to a TuningReport. Pure arithmetic: no path, clock, log or random number."""

import math

import numpy as np
from numpy.typing import NDArray

from shared.report import Reason, Spectrum, TuningReport, Verdict
from worker.grid import GridFit, fit_grid, weights, wrap
from worker.lowband import LowBand, low_band
from worker.partials import Partials, find_partials

ANALYSIS_VERSION = "1"
STANDARDS_HZ = (415.0, 430.0, 432.0, 435.0, 440.0, 442.0, 443.0, 444.0, 466.0)
SHORTEST_SECONDS = 0.45
"""Less than one analysis window with its margins."""
CLOSE_CENTS = 8.0
"""432 and 435 lie 12 cents apart, 440 and 442 lie 7.9: nearer than that is 432 or 440 itself."""
NOTE_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def measure_tuning(samples: NDArray[np.float32], sample_rate: int) -> TuningReport:
    """The tuning of mono `samples`, shape (n,), any length, NaN and Inf allowed."""
    if samples.size < SHORTEST_SECONDS * sample_rate:
        return _inconclusive(Reason.TOO_SHORT)
    low = low_band(samples, sample_rate)
    if low.samples.size == 0:
        return _inconclusive(Reason.SILENT)
    partials = find_partials(low, window_seconds=0.37, overlap=4)
    weight = weights(partials)
    fit = fit_grid(partials.hz, weight)
    picture = _spectrum(partials)
    if fit is None:
        return _inconclusive(Reason.NOISE_LIKE, spectrum=picture)
    return _judge(low, partials, weight, fit, picture)


def _judge(
    low: LowBand, partials: Partials, weight: NDArray[np.float64], fit: GridFit, picture: Spectrum
) -> TuningReport:
    remarks = ["clipped"] if low.clipped else []
    evidence = fit.notes * fit.agreement**2
    power = 10 ** (partials.level_db.astype(np.float64) / 10) * (weight > 0)
    strongest = np.bincount(np.round(1200 * np.log2(partials.hz / 440.0)).astype(int) + 6000, power)
    peak_at = int(np.argmax(strongest)) - 6000
    near = np.abs(1200 * np.log2(partials.hz / 440.0) - peak_at) < 5
    dominant = float((partials.hz * power)[near].sum() / max(power[near].sum(), 1e-30))
    pure = fit.notes < 1.5 and fit.agreement > 0.9
    if pure:
        remarks.append("pure_tone")
    confidence = 1.0 / (1.0 + math.exp(-6.0 * (evidence - 1.0))) if not pure else 0.95
    verdict, a4 = Verdict.INCONCLUSIVE, 440.0 * 2 ** (fit.cents / 1200)
    if pure or evidence >= 1.0:
        to432, to440 = (abs(1200 * math.log2(a4 / s)) for s in (432.0, 440.0))
        verdict = (
            Verdict.A432 if to432 < CLOSE_CENTS else Verdict.A440 if to440 < CLOSE_CENTS else Verdict.OTHER
        )
    midi = 69 + 12 * math.log2(dominant / 440.0)
    return TuningReport(
        verdict=verdict,
        confidence=confidence,
        reason=Reason.NO_STABLE_PITCH if verdict is Verdict.INCONCLUSIVE else None,
        remarks=tuple(remarks),
        a4_hz=a4,
        uncertainty_cents=max(0.5, fit.spread_cents / 2),
        deviation_440_cents=1200 * math.log2(a4 / 440.0),
        deviation_432_cents=1200 * math.log2(a4 / 432.0),
        nearest_standard_hz=min(STANDARDS_HZ, key=lambda s: abs(math.log(a4 / s))),
        also_fits_hz=tuple(a4 * 2 ** (k / 12) for k in (-1, 1)),
        drift_cents=_drift(partials, weight, fit),
        dominant_hz=dominant,
        dominant_note=f"{NOTE_NAMES[round(midi) % 12]}{round(midi) // 12 - 1}",
        dominant_cents=100 * (midi - round(midi)),
        histogram=tuple(float(v) for v in fit.histogram),
        spectrum=picture,
        analysis_version=ANALYSIS_VERSION,
    )


def _drift(partials: Partials, weight: NDArray[np.float64], fit: GridFit) -> tuple[float | None, ...]:
    """Tuning of each 10 s relative to the whole, None where too little was heard."""
    part = (partials.frame * partials.hop_seconds // 10).astype(int)
    found: list[float | None] = []
    for index in range(int(partials.frames * partials.hop_seconds // 10) + 1):
        here = part == index
        local = fit_grid(partials.hz[here], weight[here])
        enough = local is not None and local.notes * local.agreement**2 >= 1.0
        found.append(float(wrap(np.asarray(local.cents - fit.cents))) if local and enough else None)
    return tuple(found)


def _spectrum(partials: Partials) -> Spectrum:
    """At most 512 points of the mean spectrum on a log axis."""
    bins = partials.first_bin + np.arange(partials.mean_power.size)
    low_hz, high_hz = float(bins[0] * partials.bin_hz), float(bins[-1] * partials.bin_hz)
    edges = low_hz * (high_hz / low_hz) ** (np.arange(512) / 511)
    power = np.interp(edges, bins * partials.bin_hz, partials.mean_power)
    level = 10 * np.log10(np.maximum(power / max(float(power.max()), 1e-30), 1e-12))
    return Spectrum(low_hz=low_hz, high_hz=high_hz, levels_db=tuple(round(float(v), 2) for v in level))


def _inconclusive(reason: Reason, *, spectrum: Spectrum | None = None) -> TuningReport:
    return TuningReport(
        verdict=Verdict.INCONCLUSIVE,
        confidence=0.0,
        reason=reason,
        spectrum=spectrum,
        analysis_version=ANALYSIS_VERSION,
    )

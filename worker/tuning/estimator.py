"""Estimates the tuning of mono samples: samples in, a TuningReport out.

Pure arithmetic: no path, clock, log or random number. docs/tuning.md describes the steps.
"""

import math
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from shared.domain.report import ANALYSIS_VERSION, Reason, Spectrum, TuningReport, Verdict
from worker.tuning.attack_offset import estimate_attack_offset
from worker.tuning.drift import drift_range, measure_drift
from worker.tuning.grid_fit import GridFit, fit_grid
from worker.tuning.note_spread import measure_note_spread
from worker.tuning.pitch_histogram import SEGMENT_SECONDS, PitchHistogram, make_pitch_histogram
from worker.tuning.single_tone import SingleTone, find_single_tone
from worker.tuning.spectral.circle import wrap
from worker.tuning.spectral.harmonics import HarmonicMatches, match_harmonics
from worker.tuning.spectral.inharmonicity import estimate_inharmonicity
from worker.tuning.spectral.peaks import SpectralPeaks, find_peaks
from worker.tuning.spectral.resample import ResampledAudio, resample
from worker.tuning.standards import nearest_standard
from worker.tuning.steady_tones import cell_rayleigh, find_steady_tones
from worker.tuning.summary import dominant_hz, nearest_note, summarize_histogram, summarize_spectrum
from worker.tuning.temperaments import find_temperament, retune_to_equal
from worker.tuning.verdict import (
    MOVES_CENTS,
    SCATTERED_CENTS,
    VIBRATO_PEAK_SHARE,
    Decision,
    Features,
    also_fits,
    decide,
    decide_single_tone,
    decide_voice,
    name_verdict,
)
from worker.tuning.voice import Voice, find_voice
from worker.tuning.wow import Wow, find_wow, remove_wow, speed_curve

WINDOWS_SECONDS = (0.37, 0.74)
"""The short window follows melodies, the long one separates bass notes; each alone is less accurate."""
OVERLAP = 4
MIN_SECONDS = 0.45
"""One short window and its margins."""
SINGLE_PITCH_RESULTANT = 0.9
"""Minimum resultant length of a single steady pitch class: a tuning fork, a sine, a drone."""
FEW_PITCH_CLASSES = 3.0
"""Pitch classes of a melody: the partials of a bowl have 2.4 to 2.7, hum and drones under music leave
more."""
WOW_ERROR = 0.06
"""Standard error that removed wow leaves, relative to its depth."""
MELODY_CONFIDENCE = 0.8
"""Music under hum of up to 24 dB has 0.85 or more; one low sawtooth, analysed as a scale, 0.7."""
SINGLE_PITCH_SALIENCE = 40.0
"""A sine has 100 or more. Sirens and chirps have few stationary peaks, which may agree by chance."""


def estimate_tuning(samples: NDArray[np.float32], sample_rate: int) -> TuningReport:
    """The tuning of mono `samples`, shape (n,), at `sample_rate` Hz; any length, NaN and Inf allowed."""
    if samples.size < MIN_SECONDS * sample_rate:
        return _inconclusive(Reason.TOO_SHORT)
    audio = resample(samples, sample_rate)
    if audio.samples.size == 0:
        return _inconclusive(Reason.SILENT)
    segments = max(1, math.ceil(samples.size / sample_rate / SEGMENT_SECONDS - 0.2))
    sound = _find_sound(audio, segments)
    stretch = estimate_inharmonicity(sound.windows)
    histogram = reduce(add, (make_pitch_histogram(window, stretch, segments) for window in sound.windows))
    fit = fit_grid(histogram.counts, histogram.sustained)
    if fit is None:
        return _inconclusive(Reason.NOISE_LIKE, spectrum=summarize_spectrum(sound.peaks))
    return _report(audio, sound, histogram, fit)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sound:
    """What sounds in the recording, at constant speed."""

    peaks: SpectralPeaks
    """Of the short window."""
    windows: list[HarmonicMatches]
    """Of both windows; without the long one if the recording is shorter."""
    wow: Wow | None
    """Has been removed from the peaks and the matches."""
    strongest_hz: float | None
    tone: SingleTone | None
    """The strongest tone, if it is all there is."""


def _find_sound(audio: ResampledAudio, segments: int) -> _Sound:
    """Picks the peaks of both windows, removes wow from them and matches their harmonics."""
    short = find_peaks(audio, window_seconds=WINDOWS_SECONDS[0], overlap=OVERLAP)
    long = find_peaks(audio, window_seconds=WINDOWS_SECONDS[1], overlap=OVERLAP)
    strongest_hz = dominant_hz(short)
    tone = find_single_tone(short, strongest_hz, segments) if strongest_hz else None
    # The partials of a single tone, such as a bowl, beat, which resembles wow.
    wow = find_wow(short) if tone is None else None
    if wow is not None:
        short, long = remove_wow(short, wow), remove_wow(long, wow)
        strongest_hz = dominant_hz(short)
        tone = find_single_tone(short, strongest_hz, segments) if strongest_hz else None
    windows = [match_harmonics(short, track_onsets=True)]
    if long.frame_count:
        windows.append(match_harmonics(long))
    return _Sound(peaks=short, windows=windows, wow=wow, strongest_hz=strongest_hz, tone=tone)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Estimate:
    """One interpretation of the recording: a single tone, one voice, or notes of a scale."""

    cents: float
    """A4, from 440 Hz."""
    drift: tuple[float | None, ...]
    decision: Decision
    remarks: dict[str, bool]
    temperament: str | None = None


def _report(audio: ResampledAudio, sound: _Sound, histogram: PitchHistogram, fit: GridFit) -> TuningReport:
    """Assembles all fields."""
    peaks, wow = sound.peaks, sound.wow
    note, note_cents = nearest_note(sound.strongest_hz) if sound.strongest_hz else (None, None)
    estimate = _estimate_scale(peaks, histogram, fit, wow)
    if sound.tone is not None:
        single = _estimate_single_tone(sound.tone)
        estimate = estimate if _is_music(estimate.decision, histogram, single.decision) else single
    estimate = _prefer_voice(estimate, audio, vibrato=histogram.peak_power_share < VIBRATO_PEAK_SHARE)
    a4_hz = 440.0 * 2.0 ** (estimate.cents / 1200.0)
    decision = estimate.decision
    named = name_verdict(estimate.cents, decision)
    remarks = {"clipped": audio.clipped, "wow": wow is not None} | estimate.remarks
    return TuningReport(
        verdict=named.verdict,
        verdict_probability=named.probability,
        probabilities=named.probabilities,
        confidence=decision.confidence,
        accuracy_probability=decision.confidence,
        reason=named.reason,
        remarks=tuple(code for code, applies in remarks.items() if applies),
        temperament=estimate.temperament,
        a4_hz=a4_hz,
        uncertainty_cents=decision.uncertainty_cents,
        deviation_440_cents=estimate.cents,
        deviation_432_cents=1200.0 * math.log2(a4_hz / 432.0),
        nearest_standard_hz=nearest_standard(a4_hz),
        also_fits_hz=also_fits(a4_hz),
        drift_cents=estimate.drift,
        wow_rate_hz=round(wow.rate_hz, 4) if wow else None,
        wow_depth_cents=round(wow.depth_cents, 2) if wow else None,
        wow_cents=speed_curve(peaks, wow, estimate.cents) if wow else (),
        dominant_hz=sound.strongest_hz,
        dominant_note=note,
        dominant_cents=note_cents,
        histogram=summarize_histogram(histogram.counts),
        spectrum=summarize_spectrum(peaks),
        analysis_version=ANALYSIS_VERSION,
    )


def _is_music(scale: Decision, histogram: PitchHistogram, tone: Decision) -> bool:
    """Whether there is music in addition to a tone that looks single: over hum, or over a drone."""
    threshold = min(MELODY_CONFIDENCE, tone.confidence)
    few = histogram.effective_pitch_classes <= FEW_PITCH_CLASSES
    return scale.reason is None and scale.confidence > threshold and not few


def _estimate_single_tone(tone: SingleTone) -> _Estimate:
    """The tuning of the nearest note: which note is meant can't be known."""
    moves = drift_range(tone.drift_cents)
    return _Estimate(
        cents=wrap(1200.0 * math.log2(tone.hz / 440.0)),
        drift=tone.drift_cents,
        decision=decide_single_tone(tone.error_cents, pure=tone.pure, drift_range=moves),
        remarks={
            "pure_tone": tone.pure and not tone.has_harmonics,
            "single_tone": not tone.pure,
            "few_notes": True,
            "tuning_moves": moves > MOVES_CENTS,
        },
    )


def _prefer_voice(estimate: _Estimate, audio: ResampledAudio, *, vibrato: bool) -> _Estimate:
    """The mean pitch of one voice, where `estimate` is inconclusive or agrees with it but has vibrato."""
    unclear = estimate.decision.reason in {Reason.NO_STABLE_PITCH, Reason.NOISE_LIKE}
    voice = find_voice(audio) if unclear or vibrato else None
    if voice is None:
        return estimate
    # In accompanied music, the loudest of several notes can look like one voice.
    agrees = abs(wrap(voice.cents - estimate.cents)) <= estimate.decision.uncertainty_cents
    return _estimate_voice(voice) if unclear or agrees else estimate


def _estimate_voice(voice: Voice) -> _Estimate:
    """The mean pitch of the notes of one voice."""
    moves = drift_range(voice.drift_cents)
    return _Estimate(
        cents=voice.cents,
        drift=voice.drift_cents,
        decision=decide_voice(voice.error_cents, agreement=voice.agreement, drift_range=moves),
        remarks={"tuning_moves": moves > MOVES_CENTS},
    )


def _estimate_scale(
    peaks: SpectralPeaks, histogram: PitchHistogram, fit: GridFit, wow: Wow | None
) -> _Estimate:
    """The tuning of equal steps, or of an unequal temperament that fits better."""
    temperament = find_temperament(histogram.counts)
    if temperament is not None:
        histogram = retune_to_equal(histogram, temperament)
        fit = fit_grid(histogram.counts, histogram.sustained) or fit
    drift = measure_drift(histogram, fit)
    moves = drift_range(drift)
    spread = measure_note_spread(histogram.counts, fit.cents)
    vibrato = histogram.peak_power_share < VIBRATO_PEAK_SHARE
    single_pitch = (
        histogram.effective_pitch_classes < 1.3
        and histogram.resultant_length > SINGLE_PITCH_RESULTANT
        and histogram.salience > SINGLE_PITCH_SALIENCE
    )
    decision = decide(
        Features(
            semitone_evidence=histogram.effective_semitones * histogram.resultant_length**2,
            resultant_length=histogram.resultant_length,
            salience=histogram.salience,
            cell_agreement=cell_rayleigh(histogram),
            tone_agreement=find_steady_tones(peaks).rayleigh(temperament),
            second_peak_ratio=fit.second_peak_ratio,
            quarter_tone_ratio=fit.quarter_tone_ratio,
            note_error=math.hypot(
                fit.note_error, spread.error_cents, temperament.a_error_cents if temperament else 0.0
            ),
            time_error=math.hypot(fit.time_error, WOW_ERROR * wow.depth_cents if wow else 0.0),
            drift_range=moves,
            single_pitch=single_pitch,
            peak_power_share=histogram.peak_power_share,
            centroid_resultant=histogram.centroid_resultant,
        )
    )
    # Where each note is sung a little differently, the mean of the notes is more accurate than the peak.
    use_mean = vibrato and spread.spread_cents > SCATTERED_CENTS
    offset = spread.mean_cents if use_mean else estimate_attack_offset(histogram, fit.cents)
    conclusive = decision.reason is None
    return _Estimate(
        cents=wrap(fit.cents + offset),
        drift=drift,
        decision=decision,
        remarks={
            "pure_tone": single_pitch and histogram.effective_semitones < 1.3,
            "few_notes": conclusive and histogram.effective_pitch_classes < FEW_PITCH_CLASSES,
            "tuning_moves": moves > MOVES_CENTS,
            "not_tempered": conclusive and temperament is not None,
        },
        temperament=temperament.name if conclusive and temperament else None,
    )


def _inconclusive(reason: Reason, *, spectrum: Spectrum | None = None) -> TuningReport:
    return TuningReport(
        verdict=Verdict.INCONCLUSIVE,
        confidence=0.0,
        reason=reason,
        spectrum=spectrum,
        analysis_version=ANALYSIS_VERSION,
    )

"""Measures the tuning of one voice alone, by the mean pitch of each note over its vibrato.

Vibrato of ±50 cents and more blurs the spectrum of notes so much that their partials show no common grid.
Here the fundamental frequency is tracked by autocorrelation (Boersma 1993, "Accurate short-term analysis of
the fundamental frequency"), cut into notes, and each note is fitted with a pitch and a sinusoid around it.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from worker.tuning.pitch_histogram import SEGMENT_SECONDS
from worker.tuning.spectral.circle import wrap
from worker.tuning.spectral.resample import ResampledAudio

FRAME = 512
"""Samples per frame, 46 ms: a quarter of a turn of vibrato, and four periods of the lowest voice."""
HOP = 256
MAX_LAG = 384
CHUNK = 128
"""Frames per FFT call: the spectra stay in the CPU cache, and memory use is constant."""
LOWEST_HZ = 75.0
HIGHEST_HZ = 1000.0
PASS_HZ = 1500.0
STOP_HZ = 3000.0
"""The autocorrelation uses partials below; higher ones make its peaks too narrow to interpolate."""
OCTAVE_TOLERANCE = 0.92
"""The shortest lag whose peak is this high relative to the highest is the period."""
MULTIPLES = (2, 3, 4, 6, 8)
"""Peaks at multiples of the period, up to 140 samples, are more precise."""
MAX_MULTIPLE_LAG = 140
MIN_PERIODICITY = 0.8
"""Peak of the normalized autocorrelation: one voice has 0.9 or more, chords and noise less."""
QUIET_DB = 35.0
OUTLIER_CENTS = 250.0
"""Maximum distance from the median of seven frames: octave errors and transitions."""
TURN_SECONDS = 0.17
"""A turn of vibrato. Means over one turn show where a new note begins."""
STEP_CENTS = 55.0
"""A larger step between two such means is a new note."""
TRIM_SECONDS = 0.05
"""Dropped after the start of a note, where the voice glides, and half of it before the end."""
MIN_NOTE_SECONDS = 0.14
MAX_NOTE_SECONDS = 1.2
"""Longer notes have no more weight."""
VIBRATO_HZ = np.arange(4.0, 8.01, 0.5)
RESIDUAL_CENTS = 15.0
"""A note that deviates this much from its sinusoid has half the weight: glides, speech."""
MIN_NOTES = 8
MIN_VOICED_SHARE = 0.5
"""Share of the time with one periodic voice: singers 0.8 or more, game effects below 0.5."""
MIN_RESULTANT = 0.55
"""Resultant length of the notes on the semitone circle: singers whose notes lie 15 cents apart (standard
deviation) have 0.6 or more, random scales mostly less than 0.5."""
MIN_AGREEMENT = 3.5
"""Effective number of different notes that agree (Rayleigh test; chance exceeds s with e^-s). Singers have
3.6 to 13; sirens, which return to two pitches, 2; speech below 2."""
CENTRE_CENTS = 20.0
"""Scale of the Lorentzian weights of the mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """The tuning of a monophonic recording."""

    cents: float
    """A4, from 440 Hz modulo a semitone."""
    error_cents: float
    """Standard error, if notes are independent."""
    agreement: float
    """Effective number of different notes that agree."""
    drift_cents: tuple[float | None, ...]
    """For each ten seconds, the tuning relative to `cents`; None with too few notes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Track:
    """One entry per frame; arrays of shape (n,)."""

    cents: NDArray[np.float64]
    """Fundamental, from 440 Hz; NaN where there isn't exactly one voice."""
    hop_seconds: float

    @property
    def voiced(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.cents)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Notes:
    """Arrays of shape (n,)."""

    start_seconds: NDArray[np.float64]
    cents: NDArray[np.float64]
    """Mean pitch."""
    weight: NDArray[np.float64]


def find_voice(audio: ResampledAudio) -> Voice | None:
    """The tuning of `audio`, if it has one voice at a time whose notes agree on a semitone grid."""
    if audio.samples.size < 8 * FRAME:
        return None
    track = _track_pitch(audio)
    if track.voiced.mean() < MIN_VOICED_SHARE:
        return None
    notes = _find_notes(track)
    if notes.cents.size < MIN_NOTES:
        return None
    phasor = notes.weight * np.exp(2j * np.pi / 100.0 * notes.cents)
    total = float(notes.weight.sum())
    resultant = complex(phasor.sum())
    cents = float(np.angle(resultant)) * 50.0 / np.pi
    note = np.clip(np.round((notes.cents - cents) / 100.0).astype(np.int64) + 69, 0, 127)
    by_note = np.bincount(note, phasor.real, 128) + 1j * np.bincount(note, phasor.imag, 128)
    agreement = abs(resultant) ** 2 / max(float((np.abs(by_note) ** 2).sum()), 1e-300)
    if abs(resultant) < MIN_RESULTANT * total or agreement < MIN_AGREEMENT:
        return None
    for _ in range(10):
        residual = wrap(notes.cents - cents)
        robust = notes.weight / (1.0 + (residual / CENTRE_CENTS) ** 2) ** 2
        cents += 1.3 * float((robust * residual).sum()) / float(robust.sum())
    residual = wrap(notes.cents - cents)
    error = float(np.sqrt((notes.weight**2 * residual**2).sum())) / total
    seconds = audio.samples.size / audio.rate_hz
    return Voice(
        cents=wrap(cents),
        error_cents=error,
        agreement=agreement,
        drift_cents=_drift(notes, residual, max(1, round(seconds / SEGMENT_SECONDS))),
    )


def _drift(notes: _Notes, residual: NDArray[np.float64], segments: int) -> tuple[float | None, ...]:
    """Weighted mean of the residuals in each ten seconds that have MIN_NOTES notes."""
    segment = np.minimum((notes.start_seconds / SEGMENT_SECONDS).astype(np.int64), segments - 1)
    count = np.bincount(segment, minlength=segments)
    weight = np.bincount(segment, notes.weight, segments)
    mean = np.bincount(segment, notes.weight * residual, segments) / np.maximum(weight, 1e-300)
    return tuple(round(float(m), 2) if n >= MIN_NOTES else None for m, n in zip(mean, count, strict=True))


def _track_pitch(audio: ResampledAudio) -> _Track:
    """Fundamental frequency of each frame."""
    size = scipy.fft.next_fast_len(FRAME + MAX_LAG, real=True)
    window = np.hanning(FRAME + 1)[:-1].astype(np.float32)
    hz = np.arange(size // 2 + 1) * audio.rate_hz / size
    gain = np.clip((STOP_HZ - hz) / (STOP_HZ - PASS_HZ), 0.0, 1.0) * (hz > LOWEST_HZ / 2.0)
    gain = gain.astype(np.float32)
    of_window = scipy.fft.irfft(np.abs(scipy.fft.rfft(window, size)) ** 2, size)[:MAX_LAG]
    lags = (int(audio.rate_hz / HIGHEST_HZ), int(audio.rate_hz / LOWEST_HZ) + 2)
    frames = np.lib.stride_tricks.sliding_window_view(audio.samples, FRAME)[::HOP]
    periods, periodicities, powers = [], [], []
    for start in range(0, len(frames), CHUNK):
        spectrum = scipy.fft.rfft(frames[start : start + CHUNK] * window, size, axis=1)
        power = (spectrum.real**2 + spectrum.imag**2) * gain
        correlation = scipy.fft.irfft(power, size, axis=1)[:, :MAX_LAG]
        powers.append(correlation[:, 0].copy())
        correlation /= np.maximum(correlation[:, :1], 1e-20) * (of_window / of_window[0])
        period, periodicity = _period(correlation, lags)
        periods.append(period)
        periodicities.append(periodicity)
    level = 10.0 * np.log10(np.concatenate(powers).astype(np.float64) + 1e-20)
    cents = 1200.0 * np.log2(audio.rate_hz / np.concatenate(periods) / 440.0)
    sounding = level > np.quantile(level, 0.9) - QUIET_DB
    voiced = sounding & (np.concatenate(periodicities) > MIN_PERIODICITY)
    # Frames without a voice have the pitch of the last one, so that the median sees voices only.
    last = np.maximum.accumulate(np.where(voiced, np.arange(voiced.size), 0))
    voiced &= np.abs(cents - median_filter(cents[last], 7, mode="nearest")) < OUTLIER_CENTS
    return _Track(cents=np.where(voiced, cents, np.nan), hop_seconds=HOP / audio.rate_hz)


def _period(
    correlation: NDArray[np.float32], lags: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Period in samples and periodicity (0 to 1) of each row, shape (frames,) each."""
    middle = correlation[:, 1:-1]
    peaks = np.where((middle > correlation[:, :-2]) & (middle >= correlation[:, 2:]), middle, -1.0)
    peaks[:, : lags[0] - 1] = -1.0
    peaks[:, lags[1] :] = -1.0
    highest = peaks.max(axis=1)
    first = (peaks >= OCTAVE_TOLERANCE * highest[:, None]).argmax(axis=1) + 1
    period = np.maximum(_interpolate(correlation, first), 1.0)
    for multiple in MULTIPLES:
        lag = np.clip(np.round(multiple * period).astype(np.int64), 2, MAX_LAG - 3)
        around = np.stack([correlation[np.arange(lag.size), lag + shift] for shift in (-1, 0, 1)])
        refined = _interpolate(correlation, lag + around.argmax(axis=0) - 1) / multiple
        valid = (multiple * period < MAX_MULTIPLE_LAG) & (np.abs(refined / period - 1.0) < 0.03)
        period = np.where(valid, refined, period)
    return period, np.asarray(highest, np.float64)


def _interpolate(correlation: NDArray[np.float32], lag: NDArray[np.int64]) -> NDArray[np.float64]:
    """Vertex of the parabola through three points around `lag` in each row."""
    rows = np.arange(lag.size)
    below, peak, above = (correlation[rows, lag + shift].astype(np.float64) for shift in (-1, 0, 1))
    curvature = np.minimum(below - 2.0 * peak + above, -1e-9)
    return np.asarray(lag + np.clip(0.5 * (below - above) / curvature, -1.0, 1.0), np.float64)


def _find_notes(track: _Track) -> _Notes:
    """Stretches of steady mean pitch."""
    voiced = track.voiced
    new = _onsets(track)
    new[1:-1] |= voiced[1:] != voiced[:-1]
    cuts = np.flatnonzero(new)
    trim = round(TRIM_SECONDS / track.hop_seconds)
    found = []
    for start, stop in pairwise(cuts):
        first, last = start + trim, stop - trim // 2
        if voiced[start] and (last - first) * track.hop_seconds >= MIN_NOTE_SECONDS:
            cents, residual = _fit_vibrato(track.cents[first:last], track.hop_seconds)
            seconds = min((last - first) * track.hop_seconds, MAX_NOTE_SECONDS)
            weight = seconds / (1.0 + (residual / RESIDUAL_CENTS) ** 2)
            found.append((first * track.hop_seconds, cents, weight))
    columns = np.asarray(found, np.float64).reshape(-1, 3).T
    return _Notes(start_seconds=columns[0], cents=columns[1], weight=columns[2])


def _onsets(track: _Track) -> NDArray[np.bool_]:
    """Whether a new note begins before each frame, shape (n + 1,); the first and last entries are True."""
    turn = max(3, round(TURN_SECONDS / track.hop_seconds))
    voiced = track.voiced
    sums = np.concatenate([[0.0], np.cumsum(np.where(voiced, track.cents, 0.0))])
    counts = np.concatenate([[0], np.cumsum(voiced)])
    at = np.arange(voiced.size + 1)
    before, after = np.maximum(at - turn, 0), np.minimum(at + turn, voiced.size)
    enough = np.minimum(counts[at] - counts[before], counts[after] - counts[at]) >= turn // 2
    means = [
        (sums[high] - sums[low]) / np.maximum(counts[high] - counts[low], 1)
        for low, high in ((before, at), (at, after))
    ]
    step = np.where(enough, np.abs(means[1] - means[0]), 0.0)
    padded = np.pad(step, turn // 2)
    highest = np.lib.stride_tricks.sliding_window_view(padded, 2 * (turn // 2) + 1).max(axis=1)
    new = (step > STEP_CENTS) & (step >= highest)
    new[[0, -1]] = True
    return np.asarray(new, np.bool_)


def _fit_vibrato(cents: NDArray[np.float64], hop_seconds: float) -> tuple[float, float]:
    """Mean pitch and standard deviation of the residual of the best sinusoid around it.

    The mean is unbiased even where the vibrato doesn't end with a whole turn.
    """
    seconds = (np.arange(cents.size) - (cents.size - 1) / 2.0) * hop_seconds
    phase = 2.0 * np.pi * VIBRATO_HZ[:, None] * seconds
    basis = np.stack([np.ones_like(phase), np.sin(phase), np.cos(phase)], axis=1)
    # einsum starts no BLAS threads, which would cost more than the analysis.
    normal = np.einsum("fil,fjl->fij", basis, basis)
    normal += np.diag([0.0, 1.0, 1.0]) * 0.02 * cents.size
    right = np.einsum("fil,l->fi", basis, cents)
    coefficients = np.linalg.solve(normal, right[..., None])[..., 0]
    residual = cents - np.einsum("fi,fil->fl", coefficients, basis)
    deviation = np.sqrt((residual**2).mean(axis=1))
    best = int(deviation.argmin())
    return float(coefficients[best, 0]), float(deviation[best])

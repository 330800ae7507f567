"""Measures and removes wow: a periodic change of speed, such as that of an eccentric record.

Wow moves all tones together. The changes of pitch from frame to frame, averaged over all tones, show its
rate; half of the notes must agree with the other half. A fit of a sinusoid and its octave to the deviations
from the semitone grid gives its depth. The mean of the corrected tones is unbiased, unlike the peaks of the
histogram, which lie at the turning points of the speed.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from worker.tuning.spectral.circle import resultant, resultant_length, wrap
from worker.tuning.spectral.peak_table import make_peak_table
from worker.tuning.spectral.peaks import SpectralPeaks
from worker.tuning.spectral.tones import FREQUENCY_ERROR_CENTS

MIN_RATE_HZ = 0.4
"""A record at 33 1/3 rpm turns at 0.5556 Hz, at 45 rpm at 0.75 Hz, at 78 rpm at 1.3 Hz."""
MAX_RATE_HZ = 2.0
MIN_FRAMES = 100
"""About 10 seconds: fewer cycles can't be told from a melody."""
MIN_COHERENCE = 0.75
"""Of the two halves of the notes at the rate. Wow of ±5 cents: 0.77 to 1; music without wow mostly below
0.7."""
MIN_DEPTH_CENTS = 3.5
"""Less does not bias the estimate. Fits to music without wow have up to 2.8."""
MAX_DEPTH_CENTS = 45.0
MIN_GAIN = 0.5
"""Wow of a known depth reduces the resultant length of all tones by a known factor. Removing it must
restore at least this share (on a log scale)."""
MIN_RESULTANT = 0.2
"""Resultant length of all tones without the wow: music 0.28 or more, speech 0.15."""
MIN_PITCH_CLASSES = 3.0
"""Effective number of pitch classes. Fewer may be one tone whose partials beat, such as a bowl."""
LOW_HZ = 90.0
HIGH_HZ = 2000.0
"""Range of the tones that the sinusoid is fitted to."""
FIT_WIDTHS_CENTS = (20.0, 15.0, 12.0, 10.0, 8.0, 8.0, 8.0, 8.0)
"""Scale of the Lorentzian weights in each iteration of the fit."""
STEP_WIDTHS_CENTS = (12.0, 6.0, 3.0, 2.0, 2.0)
"""The same for the common change of pitch between frames."""
MAX_TONES = 15_000
"""The fit uses the most salient tones."""


CURVE_SECONDS = 10.0
CURVE_POINTS = 100
"""Length of the speed curve: five turns of a record, ten points per second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wow:
    """A periodic deviation of the speed."""

    rate_hz: float
    depth_cents: float
    """Peak deviation of the fundamental: ± this."""
    coefficients: NDArray[np.float64]
    """Cents of the sine and cosine at the rate and at twice the rate, shape (4,)."""

    def cents_at(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Deviation at each time, shape (n,)."""
        return np.asarray(self.coefficients @ _basis(seconds, self.rate_hz), np.float64)


def find_wow(peaks: SpectralPeaks) -> Wow | None:
    """The wow of `peaks`, or None if there is none that matters."""
    if peaks.frame_count < MIN_FRAMES or peaks.hz.size == 0:
        return None
    start = _find_rate(peaks)
    if start is None:
        return None
    tones = _Tones.of(peaks)
    if tones.pitch_classes < MIN_PITCH_CLASSES:
        return None
    before = tones.resultant_length(np.zeros(4), start.rate_hz)
    # Changes between frames underestimate the depth: a decaying note keeps the pitch of its attack.
    fits = [_fit(tones, replace(start, coefficients=scale * start.coefficients)) for scale in (1.0, 2.0)]
    wow = max(fits, key=lambda fit: tones.resultant_length(fit.coefficients, fit.rate_hz))
    after = tones.resultant_length(wow.coefficients, wow.rate_hz)
    if after < MIN_RESULTANT:
        return None
    gain = math.log(after / max(before, 1e-9))
    expected = (2.0 * math.pi * wow.depth_cents / 100.0) ** 2 / 4.0
    plausible = MIN_DEPTH_CENTS <= wow.depth_cents <= MAX_DEPTH_CENTS
    return wow if plausible and gain >= MIN_GAIN * expected else None


def remove_wow(peaks: SpectralPeaks, wow: Wow) -> SpectralPeaks:
    """`peaks` at the pitch of constant speed.

    A longer window averages over more of the wow, so the depth is fitted to these peaks.
    """
    own = _fit(_Tones.of(peaks), wow, rate_known=True)
    speed = 2.0 ** (-own.cents_at(_frame_seconds(peaks)) / 1200.0)
    return replace(peaks, hz=peaks.hz * speed[peaks.frame])


def speed_curve(peaks: SpectralPeaks, wow: Wow, a4_cents: float) -> tuple[float, ...]:
    """Measured deviation of the speed in cents, over the first ten seconds: CURVE_POINTS points.

    `peaks` are those of `remove_wow`, and `a4_cents` is their tuning. What the tones of a moment have in
    common is added to `wow`.
    """
    tones = _Tones.of(peaks)
    step = CURVE_SECONDS / CURVE_POINTS
    index = (tones.seconds[tones.frame] / step).astype(np.int64)
    early = index < CURVE_POINTS
    residual = wrap(tones.cents - a4_cents)
    rest = _common_steps(index[early], residual[early], tones.weight[early], CURVE_POINTS)
    seconds = np.asarray((np.arange(CURVE_POINTS) + 0.5) * step, np.float64)
    return tuple(round(float(cents), 2) for cents in wow.cents_at(seconds) + rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tones:
    """The salient peaks, arrays of shape (n,) but for `seconds`."""

    cents: NDArray[np.float64]
    weight: NDArray[np.float64]
    frame: NDArray[np.int64]
    """Of the type that bincount() takes without a conversion."""
    seconds: NDArray[np.float64]
    """Time of the middle of each frame, shape (frames,): what depends on time alone is computed once per
    frame, and not for each of its tones."""

    @classmethod
    def of(cls, peaks: SpectralPeaks) -> "_Tones":
        weight = np.asarray(peaks.salience * np.sqrt(440.0 / peaks.hz), np.float64)
        weight *= (peaks.hz > LOW_HZ) & (peaks.hz < HIGH_HZ)
        keep = np.flatnonzero(weight > 0.0)
        if keep.size > MAX_TONES:
            keep = keep[np.argpartition(weight[keep], -MAX_TONES)[-MAX_TONES:]]
        return cls(
            cents=peaks.cents[keep],
            weight=weight[keep],
            frame=peaks.frame[keep].astype(np.int64),
            seconds=_frame_seconds(peaks),
        )

    @property
    def pitch_classes(self) -> float:
        """Effective number of pitch classes (participation ratio)."""
        weight = np.bincount(np.round(self.cents / 100.0).astype(np.int64) % 12, self.weight, 12)
        return float(weight.sum() ** 2 / max(float((weight**2).sum()), 1e-300))

    def resultant_length(self, coefficients: NDArray[np.float64], rate_hz: float) -> float:
        """On the semitone circle, after removing the wow."""
        cents = self.cents - (coefficients @ _basis(self.seconds, rate_hz))[self.frame]
        return resultant_length(cents, self.weight)


def _find_rate(peaks: SpectralPeaks) -> Wow | None:
    """The strongest periodic change of pitch that both halves of the notes share."""
    frame, step, weight, note = _steps(peaks)
    even = note % 2 == 0
    n, hop = peaks.frame_count, peaks.hop_seconds
    halves = [_common_steps(frame[part], step[part], weight[part], n) for part in (even, ~even)]
    first, second = np.fft.rfft(halves, axis=1)
    rate = np.fft.rfftfreq(n, hop)
    band = (rate >= MIN_RATE_HZ) & (rate <= MAX_RATE_HZ)
    cross = np.where(band, (first * second.conj()).real, 0.0)
    cross[band] /= np.sin(np.pi * rate[band] * hop) ** 2
    best = int(np.argmax(np.convolve(cross, np.ones(3), "same")))
    line = slice(max(best - 1, 0), best + 2)
    power = np.sqrt((np.abs(first[line]) ** 2).sum() * (np.abs(second[line]) ** 2).sum())
    if (first[line] * second[line].conj()).sum().real < MIN_COHERENCE * max(power, 1e-300):
        return None
    middle = np.arange(n) * hop - hop / 2.0 + 0.5 / peaks.bin_hz
    candidates = rate[best] + rate[1] * np.linspace(-1.0, 1.0, 17)
    common = _common_steps(frame, step, weight, n)
    error, coefficients = _fit_steps(common, np.asarray(middle, np.float64), candidates, hop)
    nearest = int(error.argmin())
    sine, cosine = coefficients[nearest].tolist()
    return Wow(
        rate_hz=float(candidates[nearest]),
        depth_cents=math.hypot(sine, cosine),
        coefficients=np.array([sine, cosine, 0.0, 0.0]),
    )


def _steps(
    peaks: SpectralPeaks,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Frame, change of pitch since the frame before, weight and semitone of each continued peak."""
    weight = peaks.salience / (1.0 + (peaks.frequency_error_cents / FREQUENCY_ERROR_CENTS) ** 2)
    keep = np.flatnonzero(weight > 0.0)
    cents, weight, frame = peaks.cents[keep], weight[keep], peaks.frame[keep]
    previous = make_peak_table(cents, frame, peaks.frame_count).previous_peak()
    continued = np.flatnonzero(previous >= 0)
    before = previous[continued]
    return (
        frame[continued].astype(np.int64),
        cents[continued] - cents[before],
        np.minimum(weight[continued], weight[before]),
        np.round(cents[continued] / 100.0).astype(np.int64),
    )


def _common_steps(
    frame: NDArray[np.int64], step: NDArray[np.float64], weight: NDArray[np.float64], frames: int
) -> NDArray[np.float64]:
    """Robust mean of the changes of pitch in each frame, 0 without any; shape (frames,)."""
    common = np.zeros(frames)
    for width in STEP_WIDTHS_CENTS:
        residual = step - common[frame]
        robust = weight / (1.0 + (residual / width) ** 2) ** 2
        total = np.maximum(np.bincount(frame, robust, frames), 1e-9)
        common += np.bincount(frame, robust * residual, frames) / total
    return common


def _fit_steps(
    common: NDArray[np.float64], seconds: NDArray[np.float64], rates_hz: NDArray[np.float64], hop: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Squared error and coefficients of the sinusoid at each rate whose differences are `common`.

    The results have the shapes (rates,) and (rates, 2).
    """
    phase = 2.0 * np.pi * rates_hz[:, None] * seconds
    slope = 2.0 * np.sin(np.pi * rates_hz * hop)
    matrix = slope[:, None, None] * np.stack([np.cos(phase), -np.sin(phase)], axis=1)
    # einsum starts no BLAS threads, which would cost more than the analysis.
    normal = np.einsum("rin,rjn->rij", matrix, matrix) + 1e-9 * np.eye(2)
    coefficients = np.linalg.solve(normal, np.einsum("rin,n->ri", matrix, common)[..., None])[..., 0]
    residual = common - np.einsum("ri,rin->rn", coefficients, matrix)
    return (residual**2).sum(axis=1), np.asarray(coefficients, np.float64)


def _fit(tones: _Tones, start: Wow, *, rate_known: bool = False) -> Wow:
    """The wow that fits the deviations from the grid best, by iteratively reweighted least squares."""
    rate, coefficients = start.rate_hz, start.coefficients.copy()
    middle = float(tones.seconds[tones.frame].mean()) if tones.frame.size else 0.0
    frames = tones.seconds.size
    grid = 0.0
    for index, width in enumerate(FIT_WIDTHS_CENTS):
        basis = _basis(tones.seconds, rate)
        flat = tones.cents - (coefficients @ basis)[tones.frame]
        if index == 0:
            grid = float(np.angle(resultant(flat, tones.weight))) * 50.0 / np.pi
        residual = wrap(flat - grid)
        weight = tones.weight / (1.0 + (residual / width) ** 2) ** 2
        columns = [np.ones(frames), *basis]
        if not rate_known:
            slope = coefficients[0] * basis[1] - coefficients[1] * basis[0]
            columns.append(2.0 * np.pi * (tones.seconds - middle) * slope)
        step = _least_squares(
            np.stack(columns),
            np.asarray(np.bincount(tones.frame, weight, frames), np.float64),
            np.asarray(np.bincount(tones.frame, weight * residual, frames), np.float64),
        )
        grid += 1.5 * float(step[0])
        coefficients += 1.5 * step[1:5]
        if not rate_known:
            rate += float(np.clip(step[5], -0.003, 0.003))
    return Wow(rate_hz=rate, depth_cents=float(np.hypot(*coefficients[:2])), coefficients=coefficients)


def _least_squares(
    columns: NDArray[np.float64], weight: NDArray[np.float64], weighted_values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weighted least squares on `columns`, shape (m, n); shape (m,).

    `weight` and `weighted_values`, shape (n,), are sums over all values that share a row of columns.
    """
    normal = np.einsum("in,jn->ij", columns * weight, columns)
    normal[np.diag_indices(len(columns))] += 1e-6 * np.trace(normal) / len(columns) + 1e-12
    return np.linalg.solve(normal, np.einsum("in,n->i", columns, weighted_values))


def _basis(seconds: NDArray[np.float64], rate_hz: float) -> NDArray[np.float64]:
    """Sine and cosine at the rate and at twice the rate, shape (4, n)."""
    phase = 2.0 * np.pi * rate_hz * seconds
    return np.stack([np.sin(phase), np.cos(phase), np.sin(2.0 * phase), np.cos(2.0 * phase)])


def _frame_seconds(peaks: SpectralPeaks) -> NDArray[np.float64]:
    """Time of the middle of each frame, shape (frames,)."""
    return np.asarray(np.arange(peaks.frame_count) * peaks.hop_seconds + 0.5 / peaks.bin_hz, np.float64)

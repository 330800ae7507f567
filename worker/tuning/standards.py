"""How probable is each pitch standard, given an estimate and its error?

Bayes' theorem: a prior for what recordings are tuned to, how far recordings meant for a standard lie from it,
and the error distribution of the estimate. Everything is modulo a semitone. docs/tuning.md has the sources.
"""

import math

STANDARD_PRIORS = {
    440.0: 0.575,
    432.0: 0.25,
    442.0: 0.02,
    443.0: 0.012,
    444.0: 0.012,
    415.0: 0.015,
    430.0: 0.008,
    435.0: 0.004,
    466.0: 0.004,
}
"""Share of recordings by standard. Modern recordings are at 440; the share of 432 is that of the recordings
that people ask this question about. European orchestras tune to 442 to 444, period instruments to 415 or
430 (Haynes 2002, "A History of Performing Pitch"); 435 and 466 are rare."""
OTHER = "other"
OTHER_PRIOR = 0.08
"""Share of recordings that follow no standard: tape and turntable speed, effects. 7 % of the tracks below."""
STUDIO_CENTS = 1.5
"""Standard deviation of electronic and studio recordings around their standard. A mixture of two normal and
one uniform distribution, fitted to 260 tracks of 35 Debian game packages, has 1.3 (1.25 and 1.8 on
halves)."""
LIVE_SHARE = 0.22
LIVE_MEAN_CENTS = 3.5
LIVE_CENTS = 5.5
"""Share, mean and standard deviation of the second normal distribution: live bands and singers, mostly
sharp. The same fit has 0.20, +6 and 8 (0.14 to 0.22, +4 to +11 and 5 to 9.5), including recordings at
442."""
NEAREST_HZ = tuple(hz for hz in STANDARD_PRIORS if hz not in {415.0, 466.0})
"""Candidates for the nearest standard: 415 and 466 are 440 moved by a semitone, so 440 represents them."""


def standard_probabilities(
    deviation_cents: float, error_cents: float, tuned_probability: float
) -> dict[str, float]:
    """Probability of each standard (by its Hz, such as "432") and of `other`; adds up to 1.

    `deviation_cents` is the estimate from 440 Hz, `error_cents` its standard error. With a probability of
    1 - `tuned_probability` the recording has no tuning, which counts as `other`.
    """
    weights = {
        f"{hz:g}": prior * _likelihood(wrap_cents(deviation_cents - cents_from_440(hz)), error_cents)
        for hz, prior in STANDARD_PRIORS.items()
    }
    weights[OTHER] = OTHER_PRIOR / 100.0
    scale = tuned_probability / sum(weights.values())
    probabilities = {name: weight * scale for name, weight in weights.items()}
    probabilities[OTHER] += 1.0 - tuned_probability
    return probabilities


def nearest_standard(a4_hz: float) -> float:
    """The nearest standard modulo a semitone."""
    cents = cents_from_440(a4_hz)
    return min(NEAREST_HZ, key=lambda hz: abs(wrap_cents(cents - cents_from_440(hz))))


def cents_from_440(hz: float) -> float:
    """Interval from 440 Hz in cents."""
    return 1200.0 * math.log2(hz / 440.0)


def wrap_cents(cents: float) -> float:
    """Cents folded to -50..+50."""
    return (cents + 50.0) % 100.0 - 50.0


def _likelihood(offset_cents: float, error_cents: float) -> float:
    """Density of an estimate `offset_cents` above the standard, per cent."""
    studio = _normal(offset_cents, math.hypot(STUDIO_CENTS, error_cents))
    live = _normal(wrap_cents(offset_cents - LIVE_MEAN_CENTS), math.hypot(LIVE_CENTS, error_cents))
    return (1.0 - LIVE_SHARE) * studio + LIVE_SHARE * live


def _normal(offset: float, deviation: float) -> float:
    """Normal density, wrapped to the semitone."""
    turns = (offset - 100.0, offset, offset + 100.0)
    return sum(math.exp(-0.5 * (turn / deviation) ** 2) for turn in turns) / (
        deviation * math.sqrt(2.0 * math.pi)
    )

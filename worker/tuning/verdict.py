"""Decides what the features of a recording allow us to say, by named rules."""

import math
from dataclasses import dataclass

from shared.domain.report import Reason, Verdict
from worker.tuning.standards import standard_probabilities

MIN_VERDICT_PROBABILITY = 0.5
"""The most probable of 432, 440 and `other` is the verdict if it has at least this probability."""
MIN_OTHER_PROBABILITY = 0.4
"""`other` is the verdict only if another tuning has at least this probability, given that there is one."""
MAX_RIVAL = 0.5
"""Inconclusive if 432 and 440 both have more than this share of the probability of the verdict."""
MIN_ODDS = 0.5
"""Minimum probability that the recording has a tuning at all."""
MAX_INTERVAL_CENTS = 24.0
"""A wider interval covers the circle."""
INTERVAL = 1.645
"""Half-width of the 90 % interval in standard errors."""
ACCURATE_CENTS = 3.0
"""`confidence` is the probability of an error up to this: a tenth of the distance from 432 to 440."""
SECOND_PEAK_RATIO = 0.88
SECOND_PEAK_LOG_ODDS = 90.0
"""Log odds lost per unit above: 1.8 at 0.9, 6.3 at 0.95. A second grid as good as the first: quarter-tone
scales, engines, random tones, rain and wind (0.9 to 1). Of music 1 in 100, most of it doubtful by the other
features too."""
QUARTER_TONE_RATIO = 0.1
QUARTER_TONE_LOG_ODDS = 20.0
"""Log odds lost per unit above: 2 at 0.2. Music has next to nothing half a semitone off the grid (below
0.05), quarter-tone scales 0.6 to 0.9."""
MIN_ERROR_CENTS = 1.1
"""The pitch of a note is no better defined: attack or sustain, fundamental or centre of energy."""
MIN_SINGLE_TONE_ERROR_CENTS = 0.8
"""The same for a single sustained tone."""
MIN_VOICE_ERROR_CENTS = 1.6
"""The same for one voice alone: reverberation moves the mean of the vibrato."""

VIBRATO_PEAK_SHARE = 0.65
"""In the long window, the strongest peak of tones without vibrato has 0.72 of the power or more, with
vibrato of ±40 cents 0.4."""
VIBRATO_WIDTH = 0.03
"""Vibrato counts gradually: half at VIBRATO_PEAK_SHARE, an eighth or seven eighths at twice this distance."""
CENTROID_RESULTANT = 0.47
CENTROID_LOG_ODDS = 40.0
"""Log odds lost per unit below, with vibrato: 2 at 0.42. Mean pitches of tones with ±50 cents of vibrato
agree 0.5 or more; ±60 to 100 cents in short notes 0.1 to 0.4, and their turning points lie half a semitone
off the note."""
SCATTERED_CENTS = 4.5
"""The notes of a singer lie 6 to 10 cents apart, those of instruments less than 5."""

NOISE_EVIDENCE = 0.3
"""Below this the peaks are distributed uniformly: noise, drums, speech."""

VOICE_TONES = 0.05
"""Voices and instruments have steady tones with harmonics; noise and most drums have none."""
MAX_SALIENCE = 330.0
"""More salience adds no evidence: engines and random tones have as much as an orchestra."""
MIN_TONES = 0.6
"""Lower bound of `tone_agreement`: flutes that resemble sines have no steady tones with harmonics."""
MIN_VIBRATO_TONES = 2.0
"""The same with vibrato."""
SIREN_TONES = 0.03
VOICE_RANGE = 0.04
"""All of 60 sirens without harmonics had 0 steady tones; singers have 0.09 or more. In between, the
allowances for vibrato grow linearly over this range."""
CLEAN_RESULTANT = 0.8
"""A few clear notes and nothing else have a resultant length of 0.9 to 1; audible non-music less than
0.85."""
SALIENCE_LOG_ODDS = 1.92
CELL_LOG_ODDS = 0.95
TONE_LOG_ODDS = 1.53
CLEAN_LOG_ODDS = 24.0
BASE_LOG_ODDS = -13.0
"""Log odds without any evidence, and per e-fold of each feature: a logistic regression on 700 recordings of
music and 300 of anything else, cross-validated by track; CLEAN_LOG_ODDS by hand (docs/tuning.md)."""
DRIFTS_CENTS = 20.0
"""Between 440 and 432 lie 32 cents; choirs sink a quarter-tone. Real recordings with one tuning stay within
12 cents even where single segments have few notes."""
PURE_TONE_ODDS = 0.98
"""A sine has a pitch, whatever note it is meant to be."""
RINGING_TONE_ODDS = 0.6
"""Bowls and bells are tuned by ear if at all, and which of their partials is the note is a convention."""
MOVES_CENTS = 8.0
"""A larger drift is a remark and widens the interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """Everything that the rules may use."""

    semitone_evidence: float
    """Effective number of MIDI notes times the squared resultant length."""
    resultant_length: float
    salience: float
    cell_agreement: float
    """Effective number of cells (pitch class by ten seconds) that agree."""
    tone_agreement: float
    """Effective number of notes whose steady tones agree."""
    second_peak_ratio: float
    quarter_tone_ratio: float
    note_error: float
    time_error: float
    drift_range: float
    """Largest lasting step of the tuning in cents; 0 if unknown."""
    single_pitch: bool
    peak_power_share: float = 1.0
    centroid_resultant: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """How certain the estimate is, or why there is none."""

    confidence: float
    """Probability that the estimate is within ACCURATE_CENTS of the truth."""
    uncertainty_cents: float
    """Half-width of the 90 % interval."""
    tuned_probability: float
    """Probability that the recording has a tuning at all."""
    reason: Reason | None

    @property
    def error_cents(self) -> float:
        """Standard error of the estimate."""
        return self.uncertainty_cents / INTERVAL


def decide(features: Features) -> Decision:
    """Confidence and interval of the estimate, and the reason to be inconclusive."""
    error = _error(features)
    accurate = math.erf(ACCURATE_CENTS / error / math.sqrt(2.0))
    odds = 1.0 / (1.0 + math.exp(-_log_odds(features)))
    confidence = accurate * odds
    reason: Reason | None = None
    if features.drift_range > DRIFTS_CENTS:
        # Two tunings in one recording are two answers, so no single one can be certain.
        reason, confidence = Reason.TUNING_DRIFTS, min(confidence, 0.3)
    elif odds < MIN_ODDS or INTERVAL * error > MAX_INTERVAL_CENTS:
        noise = features.semitone_evidence < NOISE_EVIDENCE and features.tone_agreement < VOICE_TONES
        reason = Reason.NOISE_LIKE if noise else Reason.NO_STABLE_PITCH
    return Decision(
        confidence=round(min(confidence, 0.99), 4),
        uncertainty_cents=INTERVAL * error,
        tuned_probability=odds,
        reason=reason,
    )


def decide_single_tone(error_cents: float, *, pure: bool, drift_range: float) -> Decision:
    """Confidence and interval where one tone is all there is."""
    error = math.hypot(MIN_SINGLE_TONE_ERROR_CENTS, error_cents, drift_range / 6.0)
    accurate = math.erf(ACCURATE_CENTS / error / math.sqrt(2.0))
    odds = PURE_TONE_ODDS if pure else RINGING_TONE_ODDS
    return Decision(
        confidence=round(accurate * odds, 4),
        uncertainty_cents=INTERVAL * error,
        tuned_probability=odds,
        reason=None,
    )


def decide_voice(error_cents: float, *, agreement: float, drift_range: float) -> Decision:
    """Confidence and interval of one voice alone whose notes agree (Rayleigh test: e^-s by chance)."""
    error = math.hypot(MIN_VOICE_ERROR_CENTS, error_cents, drift_range / 6.0)
    odds = 1.0 - math.exp(-agreement)
    drifts = drift_range > DRIFTS_CENTS
    confidence = math.erf(ACCURATE_CENTS / error / math.sqrt(2.0)) * odds
    return Decision(
        confidence=round(min(confidence, 0.3 if drifts else 0.99), 4),
        uncertainty_cents=INTERVAL * error,
        tuned_probability=odds,
        reason=Reason.TUNING_DRIFTS if drifts else None,
    )


def _error(features: Features) -> float:
    """Standard error in cents."""
    error = math.hypot(features.note_error, features.time_error)
    if features.drift_range <= MOVES_CENTS:
        return math.hypot(error, MIN_ERROR_CENTS)
    # The jackknife makes the estimate jump between the two tunings, but no further.
    return math.hypot(
        min(error, features.drift_range / INTERVAL), MIN_ERROR_CENTS, features.drift_range / 6.0
    )


def _log_odds(features: Features) -> float:
    """Log odds that the recording has a tuning at all; continuous in every feature."""
    if features.single_pitch:
        return 4.0
    vibrato = 1.0 / (1.0 + math.exp((features.peak_power_share - VIBRATO_PEAK_SHARE) / VIBRATO_WIDTH))
    # Vibrato leaves few steady tones, but agreeing mean pitches are worth two of them. A siren also has
    # vibrato and returns to the same two pitches, but it has no harmonics.
    voice = min(max((features.tone_agreement - SIREN_TONES) / VOICE_RANGE, 0.0), 1.0)
    min_tones = MIN_TONES * (MIN_VIBRATO_TONES / MIN_TONES) ** (vibrato * voice)
    clean = CLEAN_LOG_ODDS * math.log(max(features.resultant_length / CLEAN_RESULTANT, 1.0))
    clean *= 1.0 - vibrato * (1.0 - voice)
    penalty = (
        SECOND_PEAK_LOG_ODDS * max(0.0, features.second_peak_ratio - SECOND_PEAK_RATIO)
        + QUARTER_TONE_LOG_ODDS * max(0.0, features.quarter_tone_ratio - QUARTER_TONE_RATIO)
        + vibrato * CENTROID_LOG_ODDS * max(0.0, CENTROID_RESULTANT - features.centroid_resultant)
    )
    return (
        BASE_LOG_ODDS
        + SALIENCE_LOG_ODDS * math.log(min(max(features.salience, 1e-6), MAX_SALIENCE))
        + CELL_LOG_ODDS * math.log(max(features.cell_agreement, 1e-3))
        + TONE_LOG_ODDS * math.log(max(features.tone_agreement, min_tones))
        + clean
        - penalty
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedVerdict:
    """The short answer and its probability."""

    verdict: Verdict
    probability: float | None
    """Of the verdict; None if there is no tuning to name."""
    probabilities: dict[str, float]
    """By standard, such as "440", and `other`; empty if there is no tuning to name."""
    reason: Reason | None


def name_verdict(deviation_cents: float, decision: Decision) -> NamedVerdict:
    """The most probable of 432, 440 and `other`; inconclusive if none is probable enough."""
    if decision.reason is not None:
        return NamedVerdict(
            verdict=Verdict.INCONCLUSIVE, probability=None, probabilities={}, reason=decision.reason
        )
    probabilities = standard_probabilities(deviation_cents, decision.error_cents, decision.tuned_probability)
    outcomes = {Verdict.A432: probabilities["432"], Verdict.A440: probabilities["440"]}
    outcomes[Verdict.OTHER] = max(0.0, 1.0 - sum(outcomes.values()))
    verdict = max(outcomes, key=lambda outcome: outcomes[outcome])
    rival = min(outcomes[Verdict.A432], outcomes[Verdict.A440])
    sure = outcomes[verdict] >= max(MIN_VERDICT_PROBABILITY, rival / MAX_RIVAL)
    if verdict is Verdict.OTHER:  # doubt that there is a tuning is no evidence of another one
        tuned = decision.tuned_probability
        sure = sure and (outcomes[verdict] - (1.0 - tuned)) / tuned >= MIN_OTHER_PROBABILITY
    return NamedVerdict(
        verdict=verdict if sure else Verdict.INCONCLUSIVE,
        probability=round(outcomes[verdict], 4) if sure else None,
        probabilities={name: round(value, 4) for name, value in probabilities.items()},
        reason=None if sure else Reason.AMBIGUOUS,
    )


def also_fits(a4_hz: float) -> tuple[float, ...]:
    """The same grid named from the neighbouring semitones: 415.3 and 466.2 for 440."""
    return tuple(round(a4_hz * 2.0 ** (step / 12.0), 3) for step in (-1, 1))

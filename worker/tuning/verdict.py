"""From a fit to an answer: the named rules, each with its reason. Refuses to touch samples."""

import math
from dataclasses import dataclass

from shared.domain.report import Reason, Verdict

STANDARDS_HZ = (415.0, 430.0, 432.0, 435.0, 440.0, 442.0, 443.0, 444.0, 466.0)
CLOSE_CENTS = 4.0
"""442 lies 7.9 cents over 440, and 435 lies 12 over 432: beyond half of that, another name fits better."""
DISTINCT_CENTS = 12.0
"""432 and 440 lie 31.8 cents apart: with a wider interval the answer near one might be the other."""
SURE_ENOUGH = 0.5
"""Under even odds that the recording has a tuning at all, an answer misleads more than it helps."""
WIDEST_CENTS = 24.0
"""Half of the circle and more: nothing was found out."""
RIGHT_CENTS = 3.0
"""An answer this close is right: a tenth of the way from 432 to 440."""
RIVAL = 0.9
"""A second grid as good as the first: quarter-tone scales, engines, random tones, chance; of real music 3 in
100, most of it doubtful by the other signs too."""
QUARTER = 0.2
"""Half a semitone off the grid music has nothing (under 0.05), quarter-tone scales 0.6 to 0.9."""
FLOOR_CENTS = 1.1
"""A note's pitch is no better defined: struck or sounding on, its fundamental or where its energy lies."""
TONE_FLOOR_CENTS = 0.8
"""One lasting tone is meant no better than this."""

LEAD_SHARE = 0.65
"""In the longer window: of tones without vibrato the strongest peak holds 0.72 of the power and more, of
vibrato of +-40 cents 0.4."""
MEANS_AGREEMENT = 0.42
"""Mean pitches of +-50 cents of vibrato agree 0.5 and more; of +-60 to 100 cents in short notes 0.1 to 0.4,
and their turning points then pile up half a semitone off the note."""
SCATTERED_CENTS = 4.5
"""Notes of one singer lie 6 to 10 cents apart, of instruments under 5."""

NOISE_EVIDENCE = 0.3
"""Partials that agree this little lie anywhere: noise, drums, speech."""

LOUD_STRENGTH = 330.0
"""More strength says nothing more: engines and random tones have as much as an orchestra."""
SILENT_TONES = 0.6
"""No steady tone at all speaks against music no more than this: sine-like flutes have none."""
WAVERING_TONES = 2.0
SIREN_TONES = 0.05
"""Of 60 sirens without overtones each had 0; of singers 0.09 and more."""
CLEAN_AGREEMENT = 0.8
"""A few clear notes and nothing else agree 0.9 to 1; what is no music, and is not faint, less than 0.85."""
STRENGTH_ODDS = 1.92
CELLS_ODDS = 0.95
TONES_ODDS = 1.53
CLEAN_ODDS = 24.0
NO_SIGN_ODDS = -13.0
"""Log odds without any sign, and per e-fold of each: a logistic regression on 700 recordings of music and 300
of anything else, cross-validated by track; CLEAN_ODDS by hand (docs/tuning.md)."""
DRIFTS_CENTS = 20.0
"""Between 440 and 432 lie 32 cents; choirs sink a quarter-tone. Real recordings on one tuning stay within
12 cents even where single stretches are thin."""
TONE_ODDS = 0.98
"""A sine has a pitch, whatever note it is meant to be."""
RINGING_ODDS = 0.6
"""Bowls and bells are tuned by ear if at all, and which of their partials is the note is taste."""
MOVES_CENTS = 8.0
"""Worth a remark, and a wider interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """All that the rules may look at."""

    evidence: float
    agreement: float
    strength: float
    cells: float
    """How many pitch classes times ten seconds agree."""
    tones: float
    """How many semitones' steady tones agree."""
    rival: float
    quarter: float
    note_error: float
    time_error: float
    drift_range: float
    """Cents between what comes before and after the largest step; 0 if it can't be told."""
    lone_tone: bool
    lead_share: float = 1.0
    means_agreement: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer's certainty, and why there is none."""

    confidence: float
    uncertainty_cents: float
    reason: Reason | None


def judge(found: Features) -> Decision:
    """How sure we are, and the reason to say nothing."""
    error = _error(found)
    within = math.erf(RIGHT_CENTS / error / math.sqrt(2.0))
    odds = 1.0 / (1.0 + math.exp(-_log_odds(found)))
    confidence = within * odds
    reason: Reason | None = None
    if found.drift_range > DRIFTS_CENTS:
        # Two tunings in one recording are two answers: no single one deserves to be called sure.
        reason, confidence = Reason.TUNING_DRIFTS, min(confidence, 0.3)
    elif odds < SURE_ENOUGH or 1.645 * error > WIDEST_CENTS:
        reason = Reason.NOISE_LIKE if found.evidence < NOISE_EVIDENCE else Reason.NO_STABLE_PITCH
    return Decision(
        confidence=round(min(confidence, 0.99), 4), uncertainty_cents=1.645 * error, reason=reason
    )


def judge_tone(error_cents: float, *, pure: bool, drift_range: float) -> Decision:
    """How surely one tone alone tells the tuning of its nearest note."""
    error = math.hypot(TONE_FLOOR_CENTS, error_cents, drift_range / 6.0)
    within = math.erf(RIGHT_CENTS / error / math.sqrt(2.0))
    return Decision(
        confidence=round(within * (TONE_ODDS if pure else RINGING_ODDS), 4),
        uncertainty_cents=1.645 * error,
        reason=None,
    )


def _error(found: Features) -> float:
    """Standard error in cents."""
    known = math.hypot(found.note_error, found.time_error)
    if found.drift_range <= MOVES_CENTS:
        return math.hypot(known, FLOOR_CENTS)
    # Leaving notes or seconds out makes the answer jump between the two tunings, and no further.
    return math.hypot(min(known, found.drift_range / 1.645), FLOOR_CENTS, found.drift_range / 6.0)


def _log_odds(found: Features) -> float:
    """For the recording having a tuning at all."""
    if found.lone_tone:
        return 4.0
    wavers = found.lead_share < LEAD_SHARE
    if (wavers and found.means_agreement < MEANS_AGREEMENT) or found.quarter > QUARTER or found.rival > RIVAL:
        return -4.0
    clean = CLEAN_ODDS * math.log(max(found.agreement / CLEAN_AGREEMENT, 1.0))
    # With vibrato few tones stand still, but that the means of the tones agree tells as much as two that do.
    # A siren wavers too, and turns again and again at the same two pitches: it has no overtones.
    if wavers and found.tones < SIREN_TONES:
        least, clean = SILENT_TONES, 0.0
    else:
        least = WAVERING_TONES if wavers else SILENT_TONES
    return (
        NO_SIGN_ODDS
        + STRENGTH_ODDS * math.log(min(max(found.strength, 1e-6), LOUD_STRENGTH))
        + CELLS_ODDS * math.log(max(found.cells, 1e-3))
        + TONES_ODDS * math.log(max(found.tones, least))
        + clean
    )


def name_of(a4_hz: float, uncertainty_cents: float) -> Verdict:
    """432 or 440 only where that is what a tuner would say, and surely not the other; else `other`."""
    if uncertainty_cents > DISTINCT_CENTS:
        return Verdict.OTHER
    for standard, verdict in ((432.0, Verdict.A432), (440.0, Verdict.A440)):
        if abs(1200.0 * math.log2(a4_hz / standard)) <= CLOSE_CENTS:
            return verdict
    return Verdict.OTHER


def also_fits(a4_hz: float) -> tuple[float, ...]:
    """The same grid named from the neighbouring semitones: 415.3 and 466.2 for 440."""
    return tuple(round(a4_hz * 2.0 ** (step / 12.0), 3) for step in (-1, 1))


def nearest_standard(a4_hz: float) -> float:
    """Among pitches in use, modulo a semitone: 415 is 440 less a semitone, so 440 is told first."""
    return min(STANDARDS_HZ, key=lambda s: abs(math.log(a4_hz / s)))

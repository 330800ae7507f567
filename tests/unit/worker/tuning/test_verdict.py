"""The rules of the verdict, one at a time."""

import itertools

import pytest

from shared.domain.report import Reason, Verdict
from worker.tuning.verdict import (
    Decision,
    Features,
    also_fits,
    decide,
    decide_single_tone,
    name_verdict,
)


def make_features(**other: float) -> Features:
    """Features of clear music, except the given ones."""
    clear = {
        "semitone_evidence": 8.0, "resultant_length": 0.7, "salience": 800.0, "cell_agreement": 30.0,
        "tone_agreement": 10.0, "second_peak_ratio": 0.4, "quarter_tone_ratio": 0.0, "note_error": 0.3,
        "time_error": 0.2, "drift_range": 0.0,
    }  # fmt: skip
    return Features(**{**clear, **other}, single_pitch=False)


def test_clear_music_has_high_confidence() -> None:
    decision = decide(make_features())
    assert decision.reason is None
    assert decision.confidence > 0.9
    assert decision.uncertainty_cents < 2


@pytest.mark.parametrize(
    ("feature", "value"),
    [("salience", 20.0), ("quarter_tone_ratio", 0.7), ("second_peak_ratio", 0.95), ("note_error", 16.0)],
)
def test_one_bad_feature_is_enough_to_be_inconclusive(feature: str, value: float) -> None:
    assert decide(make_features(**{feature: value})).reason is not None


def test_strong_features_compensate_weak_ones() -> None:
    assert decide(make_features(tone_agreement=0.0)).reason is None
    assert decide(make_features(cell_agreement=3.0)).reason is None
    assert (
        decide(make_features(tone_agreement=0.0, cell_agreement=3.0, salience=200.0)).reason
        is Reason.NO_STABLE_PITCH
    )


def test_a_few_notes_are_enough_if_nothing_else_sounds() -> None:
    few = {"cell_agreement": 3.0, "tone_agreement": 0.6, "salience": 300.0}
    assert decide(make_features(**few, resultant_length=0.7)).reason is not None
    assert decide(make_features(**few, resultant_length=0.95)).confidence > 0.8


def test_missing_steady_tones_matter_less_with_vibrato() -> None:
    few = {"cell_agreement": 6.0, "tone_agreement": 0.1, "salience": 330.0, "centroid_resultant": 0.7}
    assert (
        decide(make_features(**few, peak_power_share=0.9)).confidence
        < decide(make_features(**few, peak_power_share=0.5)).confidence
    )


def test_the_interval_is_limited_by_the_drift_range() -> None:
    decision = decide(make_features(note_error=13.0, time_error=12.0, drift_range=14.0))
    assert decision.reason is None
    assert 14.0 < decision.uncertainty_cents < 16.0
    assert decide(make_features(note_error=13.0, time_error=12.0)).reason is Reason.NO_STABLE_PITCH


def test_deep_vibrato_without_agreeing_means_is_inconclusive() -> None:
    assert (
        decide(make_features(peak_power_share=0.5, centroid_resultant=0.3)).reason is Reason.NO_STABLE_PITCH
    )
    assert decide(make_features(peak_power_share=0.5, centroid_resultant=0.6)).reason is None
    assert decide(make_features(peak_power_share=0.9, centroid_resultant=0.3)).reason is None


def test_a_pure_tone_has_more_confidence_than_a_ringing_one() -> None:
    pure = decide_single_tone(0.0, pure=True, drift_range=0.0)
    ringing = decide_single_tone(3.0, pure=False, drift_range=0.0)
    assert pure.confidence > 0.95
    assert ringing.confidence < 0.6
    assert ringing.uncertainty_cents > pure.uncertainty_cents
    assert (pure.reason, ringing.reason) == (None, None)


def test_little_agreement_is_noise_like() -> None:
    assert (
        decide(make_features(semitone_evidence=0.05, cell_agreement=0.5, tone_agreement=0.0)).reason
        is Reason.NOISE_LIKE
    )


def test_a_lasting_step_is_drift() -> None:
    decision = decide(make_features(drift_range=31.8))
    assert decision.reason is Reason.TUNING_DRIFTS
    assert decision.confidence <= 0.3


def test_a_drift_of_a_fifth_of_a_semitone_is_inconclusive() -> None:
    assert decide(make_features(drift_range=21.0)).reason is Reason.TUNING_DRIFTS
    assert decide(make_features(drift_range=19.0)).reason is None


def decided(error_cents: float, *, odds: float = 0.99, reason: Reason | None = None) -> Decision:
    return Decision(
        confidence=0.9, uncertainty_cents=1.645 * error_cents, tuned_probability=odds, reason=reason
    )


@pytest.mark.parametrize(
    ("cents", "error", "verdict"),
    [
        (-28.6, 1.0, Verdict.A432),
        (-3.2, 1.0, Verdict.A440),
        (5.0, 1.0, Verdict.A440),
        (0.0, 9.0, Verdict.A440),
        (15.0, 1.0, Verdict.OTHER),
        (-16.0, 1.0, Verdict.OTHER),
        (-18.0, 9.0, Verdict.INCONCLUSIVE),
    ],
)
def test_the_verdict_is_the_most_probable_one(cents: float, error: float, verdict: Verdict) -> None:
    named = name_verdict(cents, decided(error))
    assert named.verdict is verdict
    assert (named.reason is Reason.AMBIGUOUS) == (verdict is Verdict.INCONCLUSIVE)
    assert (named.probability is None) == (verdict is Verdict.INCONCLUSIVE)


@pytest.mark.parametrize("cents", [-45.0, -10.0, 0.0, 12.0])
def test_doubt_that_there_is_a_tuning_is_no_evidence_of_another_one(cents: float) -> None:
    named = name_verdict(cents, decided(11.0, odds=0.55))
    assert named.verdict is Verdict.INCONCLUSIVE
    assert named.reason is Reason.AMBIGUOUS


@pytest.mark.parametrize(("cents", "odds"), [(16.0, 0.6), (10.6, 0.9)])
def test_another_tuning_is_named_even_if_it_is_not_certain_that_there_is_one(
    cents: float, odds: float
) -> None:
    assert name_verdict(cents, decided(1.5, odds=odds)).verdict is Verdict.OTHER


def test_a_recording_without_a_tuning_has_no_probabilities() -> None:
    named = name_verdict(0.0, decided(1.0, reason=Reason.NOISE_LIKE))
    assert (named.verdict, named.reason) == (Verdict.INCONCLUSIVE, Reason.NOISE_LIKE)
    assert (named.probability, named.probabilities) == (None, {})


def test_a_voice_is_not_called_noise() -> None:
    voice = make_features(semitone_evidence=0.05, cell_agreement=0.5, tone_agreement=0.3)
    assert decide(voice).reason is Reason.NO_STABLE_PITCH


def test_the_same_grid_has_names_a_semitone_away() -> None:
    assert also_fits(440.0) == pytest.approx((415.305, 466.164))


@pytest.mark.parametrize(
    ("feature", "low", "high"),
    [
        ("quarter_tone_ratio", 0.0, 0.6),
        ("second_peak_ratio", 0.7, 1.0),
        ("centroid_resultant", 0.2, 0.6),
        ("peak_power_share", 0.5, 0.8),
        ("tone_agreement", 0.0, 1.0),
        ("salience", 50.0, 400.0),
    ],
)
def test_a_small_change_of_a_feature_changes_the_confidence_a_little(
    feature: str, low: float, high: float
) -> None:
    weak = {"cell_agreement": 6.0, "tone_agreement": 2.0, "peak_power_share": 0.5, "centroid_resultant": 0.5}
    steps = [low + (high - low) * step / 200 for step in range(201)]
    confidences = [decide(make_features(**{**weak, feature: value})).confidence for value in steps]
    assert max(abs(b - a) for a, b in itertools.pairwise(confidences)) < 0.1

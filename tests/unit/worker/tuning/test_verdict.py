"""The named rules, one by one."""

import pytest

from shared.domain.report import Reason, Verdict
from worker.tuning.verdict import Features, also_fits, judge, judge_tone, name_of, nearest_standard


def findings(**other: float) -> Features:
    """Clear music, but for what is given."""
    clear = {
        "evidence": 8.0, "agreement": 0.7, "strength": 800.0, "cells": 30.0, "tones": 10.0, "rival": 0.4,
        "quarter": 0.0, "note_error": 0.3, "time_error": 0.2, "drift_range": 0.0,
    }  # fmt: skip
    return Features(**{**clear, **other}, lone_tone=False)


def test_clear_music_is_sure() -> None:
    judged = judge(findings())
    assert judged.reason is None
    assert judged.confidence > 0.9
    assert judged.uncertainty_cents < 2


@pytest.mark.parametrize(
    ("sign", "value"),
    [("strength", 20.0), ("quarter", 0.7), ("rival", 0.95), ("note_error", 16.0)],
)
def test_one_sign_that_is_plainly_wrong_ends_it(sign: str, value: float) -> None:
    assert judge(findings(**{sign: value})).reason is not None


def test_no_sign_is_needed_where_the_others_tell_enough() -> None:
    assert judge(findings(tones=0.0)).reason is None
    assert judge(findings(cells=3.0)).reason is None
    assert judge(findings(tones=0.0, cells=3.0, strength=200.0)).reason is Reason.NO_STABLE_PITCH


def test_a_few_notes_are_enough_where_nothing_else_sounds() -> None:
    few = {"cells": 3.0, "tones": 0.6, "strength": 300.0}
    assert judge(findings(**few, agreement=0.7)).reason is not None
    assert judge(findings(**few, agreement=0.95)).confidence > 0.8


def test_no_steady_tone_says_less_where_tones_waver() -> None:
    few = {"cells": 6.0, "tones": 0.1, "strength": 330.0, "means_agreement": 0.7}
    assert (
        judge(findings(**few, lead_share=0.9)).confidence < judge(findings(**few, lead_share=0.5)).confidence
    )


def test_the_interval_of_a_piece_that_moves_reaches_no_further_than_it_moves() -> None:
    judged = judge(findings(note_error=13.0, time_error=12.0, drift_range=14.0))
    assert judged.reason is None
    assert 14.0 < judged.uncertainty_cents < 16.0
    assert judge(findings(note_error=13.0, time_error=12.0)).reason is Reason.NO_STABLE_PITCH


def test_deep_vibrato_whose_means_do_not_agree_ends_it() -> None:
    assert judge(findings(lead_share=0.5, means_agreement=0.3)).reason is Reason.NO_STABLE_PITCH
    assert judge(findings(lead_share=0.5, means_agreement=0.6)).reason is None
    assert judge(findings(lead_share=0.9, means_agreement=0.3)).reason is None


def test_a_lone_tone_is_surer_than_a_ringing_one() -> None:
    pure = judge_tone(0.0, pure=True, drift_range=0.0)
    ringing = judge_tone(3.0, pure=False, drift_range=0.0)
    assert pure.confidence > 0.95
    assert ringing.confidence < 0.6
    assert ringing.uncertainty_cents > pure.uncertainty_cents
    assert (pure.reason, ringing.reason) == (None, None)


def test_little_agreement_is_noise() -> None:
    assert judge(findings(evidence=0.05, cells=0.5, tones=0.0)).reason is Reason.NOISE_LIKE


def test_a_lasting_step_is_drift_and_never_sure() -> None:
    judged = judge(findings(drift_range=31.8))
    assert judged.reason is Reason.TUNING_DRIFTS
    assert judged.confidence <= 0.3


def test_choirs_that_sink_by_a_fifth_of_a_semitone_have_no_one_tuning() -> None:
    assert judge(findings(drift_range=21.0)).reason is Reason.TUNING_DRIFTS
    assert judge(findings(drift_range=19.0)).reason is None


@pytest.mark.parametrize(
    ("a4_hz", "uncertainty", "verdict"),
    [
        (432.8, 1.0, Verdict.A432),
        (439.2, 1.0, Verdict.A440),
        (441.1, 1.0, Verdict.OTHER),
        (440.0, 15.0, Verdict.OTHER),
        (415.3, 1.0, Verdict.OTHER),
    ],
)
def test_the_name_needs_a_close_and_certain_a(a4_hz: float, uncertainty: float, verdict: Verdict) -> None:
    assert name_of(a4_hz, uncertainty) is verdict


def test_a_semitone_off_fits_as_well() -> None:
    assert also_fits(440.0) == pytest.approx((415.305, 466.164))
    assert nearest_standard(442.3) == 442.0

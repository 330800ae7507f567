"""The sentences of a report."""

import pytest

from api.web import report_text
from shared.domain.job_fields import Problem
from shared.domain.job_state import JobState
from shared.domain.report import Reason, Verdict
from tests.support.factories import make_job, make_report


@pytest.mark.parametrize(
    ("cents", "text"),
    [
        (0.3, "right at concert pitch"),
        (-1.9, "right at concert pitch"),
        (4.0, "a hair above concert pitch"),
        (7.85, "a twelfth of a semitone above concert pitch"),
        (-31.8, "a third of a semitone below concert pitch"),
        (-49.9, "half of a semitone below concert pitch"),
        (25.0, "a quarter of a semitone above concert pitch"),
    ],
)
def test_a_deviation_is_compared_with_concert_pitch(cents: float, text: str) -> None:
    assert report_text.comparison(cents) == text


def test_a_detected_pitch_is_shown_in_hertz() -> None:
    answer = report_text.answer(make_job(state=JobState.SUCCEEDED, report=make_report()))
    assert answer is not None
    assert (answer.headline, answer.tone) == ("Tuned to A4 = 432.0 Hz", "found")


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_for_an_inconclusive_verdict_is_explained(reason: Reason) -> None:
    report = make_report(verdict=Verdict.INCONCLUSIVE, reason=reason)
    answer = report_text.answer(make_job(state=JobState.SUCCEEDED, report=report))
    assert answer is not None
    assert answer.tone == "unsure"
    assert len(answer.detail) > 40


def test_a_failure_says_what_happened_and_what_to_do() -> None:
    problem = Problem(code="undecodable", message="No decoder finds audio in this file.", retryable=False)
    answer = report_text.answer(make_job(state=JobState.FAILED, problem=problem))
    assert answer is not None
    assert answer.detail.startswith("No decoder finds audio in this file. Export it")


def test_an_unfinished_job_has_no_answer() -> None:
    assert report_text.answer(make_job()) is None


def test_a_standard_is_named_and_the_nearest_one_is_called_nearest() -> None:
    exact = report_text.standard(make_report(a4_hz=442.02, nearest_standard_hz=442.0).tuning)
    near = report_text.standard(make_report(a4_hz=441.0, nearest_standard_hz=440.0).tuning)
    assert exact == "442 Hz is the pitch of many orchestras."
    assert near == "The nearest standard is 440 Hz, concert pitch."


def test_reference_pitches_that_sound_like_the_result_are_left_out() -> None:
    assert report_text.compare_hz(make_report(a4_hz=432.04).tuning) == [440.0]
    assert report_text.compare_hz(make_report(a4_hz=445.0).tuning) == [440.0, 432.0]


def test_a_drift_is_mentioned_and_a_steady_tuning_is_not() -> None:
    steady = report_text.remarks(make_report(also_fits_hz=()))
    drifting = report_text.remarks(make_report(also_fits_hz=(), drift_cents=(-4.0, None, 5.0)))
    assert steady == []
    assert drifting == ["The tuning changes by 9 cents within the minute."]


def test_temperaments_and_single_tones_are_explained() -> None:
    just = report_text.remarks(make_report(also_fits_hz=(), temperament="just"))
    bell = report_text.remarks(make_report(also_fits_hz=(), remarks=("single_tone",)))
    assert "just intonation" in just[0]
    assert "bell" in bell[0]

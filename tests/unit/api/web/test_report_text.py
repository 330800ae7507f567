"""What a musician reads."""

import pytest

from api.web import report_text as words
from shared.domain.job import Problem
from shared.domain.job_state import JobState
from shared.domain.report import Reason, Verdict
from tests.support.factories import make_job, make_report


@pytest.mark.parametrize(
    ("cents", "said"),
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
def test_a_deviation_is_compared_with_concert_pitch(cents: float, said: str) -> None:
    assert words.comparison(cents) == said


def test_a_found_pitch_is_said_in_hertz() -> None:
    answer = words.answer(make_job(state=JobState.SUCCEEDED, report=make_report()))
    assert answer is not None
    assert (answer.headline, answer.tone) == ("Tuned to A4 = 432.0 Hz", "found")


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_for_no_verdict_is_explained(reason: Reason) -> None:
    report = make_report(verdict=Verdict.INCONCLUSIVE, reason=reason)
    answer = words.answer(make_job(state=JobState.SUCCEEDED, report=report))
    assert answer is not None
    assert answer.tone == "unsure"
    assert len(answer.detail) > 40


def test_a_failure_says_what_happened_and_what_to_do() -> None:
    problem = Problem(code="undecodable", message="No decoder finds audio in this file.", retryable=False)
    answer = words.answer(make_job(state=JobState.FAILED, problem=problem))
    assert answer is not None
    assert answer.detail.startswith("No decoder finds audio in this file. Export it")


def test_what_has_not_ended_has_no_answer() -> None:
    assert words.answer(make_job()) is None


def test_a_standard_is_named_and_told_from_its_neighbour() -> None:
    exact = words.standard(make_report(a4_hz=442.02, nearest_standard_hz=442.0).tuning)
    near = words.standard(make_report(a4_hz=441.0, nearest_standard_hz=440.0).tuning)
    assert exact == "442 Hz is the pitch of many orchestras."
    assert near == "The nearest standard is 440 Hz, concert pitch."


def test_nobody_is_offered_to_hear_the_same_tone_twice() -> None:
    assert words.compare_hz(make_report(a4_hz=432.04).tuning) == [440.0]
    assert words.compare_hz(make_report(a4_hz=445.0).tuning) == [440.0, 432.0]


def test_a_drift_is_mentioned_and_a_steady_tuning_is_not() -> None:
    steady = words.remarks(make_report(also_fits_hz=()))
    drifting = words.remarks(make_report(also_fits_hz=(), drift_cents=(-4.0, None, 5.0)))
    assert steady == []
    assert drifting == ["The tuning moves by 9 cents within the minute."]


def test_an_old_scale_is_named_and_a_bowl_explained() -> None:
    just = words.remarks(make_report(also_fits_hz=(), temperament="just"))
    bowl = words.remarks(make_report(also_fits_hz=(), remarks=("single_tone",)))
    assert "just intonation" in just[0]
    assert "bowl" in bowl[0]

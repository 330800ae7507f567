"""The sentences of a report."""

import pytest

from api.web import report_text
from shared.domain.job_fields import Problem
from shared.domain.job_state import JobState
from shared.domain.report import Reason, Verdict
from shared.redis.jobs.report_codec import pack_report, parse_report, unpack_report
from shared.schemas.job import ReportView
from tests.support.factories import make_job, make_report
from worker.file_problems import file_problem


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


def test_a_problem_that_says_what_to_do_gets_no_second_advice() -> None:
    for name, numbers in (("encrypted", ()), ("start_past_end", (13,)), ("no_index", ())):
        error = file_problem(name, *numbers)
        problem = Problem(code=error.code, message=error.message, retryable=False)
        answer = report_text.answer(make_job(state=JobState.FAILED, problem=problem))
        assert answer is not None
        assert answer.detail == error.message


def test_an_unfinished_job_has_no_answer() -> None:
    assert report_text.answer(make_job()) is None


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


def test_a_recording_with_few_notes_is_explained() -> None:
    assert "few different notes" in report_text.remarks(make_report(remarks=("few_notes",)))[0]


def test_an_estimated_start_is_explained() -> None:
    assert "one percent" in report_text.remarks(make_report(remarks=("start_estimated",)))[0]


def test_a_singer_is_not_called_noise() -> None:
    report = make_report(verdict=Verdict.INCONCLUSIVE, reason=Reason.NO_STABLE_PITCH)
    answer = report_text.answer(make_job(state=JobState.SUCCEEDED, report=report))
    assert answer is not None
    assert "singing" in answer.detail
    assert "noise" not in answer.detail


def test_the_percentage_is_that_of_the_verdict() -> None:
    report = make_report(verdict_probability=0.93, accuracy_probability=0.81)
    confidence = report_text.confidence(report.tuning)
    assert confidence.percent == 93
    assert "About 93 of 100 verdicts" in confidence.sentence
    assert "81 %" in confidence.sentence


def test_a_report_without_verdict_probability_shows_its_accuracy() -> None:
    confidence = report_text.confidence(make_report().tuning)
    assert confidence.percent == 97
    assert "verdicts" not in confidence.sentence


VERSION_5 = """{
  "tuning": {
    "verdict": "other", "confidence": 0.96, "reason": null, "remarks": [], "temperament": null,
    "a4_hz": 433.6, "uncertainty_cents": 1.9, "deviation_440_cents": -25.37, "deviation_432_cents": 6.4,
    "nearest_standard_hz": 435.0, "also_fits_hz": [409.26, 459.38], "drift_cents": [0.1, null],
    "dominant_hz": 216.8, "dominant_note": "A3", "dominant_cents": -25.4, "histogram": [],
    "spectrum": null, "analysis_version": "5"
  },
  "audio": {
    "container": "MP3", "codec": "MPEG_LAYER_III", "sample_rate": 44100, "channels": 2,
    "start_seconds": 0.0, "analysed_seconds": 60.0, "bytes_read": 1441792, "decode_seconds": 0.4,
    "analysis_seconds": 0.3
  }
}"""
"""As stored before probabilities of the verdict and wow were in reports."""


def test_a_report_of_an_earlier_version_is_shown() -> None:
    report = parse_report(VERSION_5)
    assert unpack_report(pack_report(report)) == report
    view = ReportView.of(report)
    assert (view.a4_hz, view.verdict_probability, view.probabilities) == (433.6, None, {})
    assert (view.accuracy_probability, view.wow_rate_hz, view.wow_depth_cents) == (None, None, None)
    answer = report_text.answer(make_job(state=JobState.SUCCEEDED, report=report))
    assert answer is not None
    assert "433.6" in answer.headline
    assert report_text.confidence(report.tuning).percent == 96
    assert isinstance(report_text.remarks(report), list)

from dataclasses import replace

from shared.domain.webhooks.delivery import Attempt, Delivery
from shared.domain.webhooks.events import EventType
from tests.support.factories import make_job, make_report
from worker.trace_spans import span_of_delivery, spans_of_attempt

HEADER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_the_spans_of_an_attempt_are_children_of_the_request() -> None:
    job = make_job(traceparent=HEADER).start(worker="w", now=4.0, lease_seconds=15)
    ended = job.succeed(1, make_report(), now=9.0)
    waiting, attempt, *_ = spans_of_attempt(ended)
    assert [(span.name, span.began, span.ended) for span in (waiting, attempt)] == [
        ("waiting", 1.0, 4.0),
        ("attempt", 4.0, 9.0),
    ]
    for span in (waiting, attempt):
        assert span.context.trace_id == TRACE
        assert str(span.parent) == HEADER
        assert not span.failed
    assert attempt.attributes["kammerton.bytes_read"] == 1_441_792
    assert "filename" not in str(attempt.attributes)


def test_decoding_and_analysis_are_children_of_their_attempt() -> None:
    job = make_job(traceparent=HEADER).start(worker="w", now=4.0, lease_seconds=15)
    report = make_report()
    audio = replace(report.audio, decode_seconds=2.0, analysis_seconds=0.5)
    _, attempt, *steps = spans_of_attempt(job.succeed(1, replace(report, audio=audio), now=9.0))
    assert [(span.name, span.began, span.ended) for span in steps] == [
        ("decode", 6.5, 8.5),
        ("analysis", 8.5, 9.0),
    ]
    assert {(span.parent, span.context.trace_id) for span in steps} == {(attempt.context, TRACE)}
    audio = replace(
        audio, decode_seconds=60.0
    )  # an earlier window counts, too; none began before its attempt
    _, attempt, decode, _ = spans_of_attempt(job.succeed(1, replace(report, audio=audio), now=9.0))
    assert (decode.began, decode.ended) == (4.0, 8.5)


def test_the_last_of_several_attempts_is_traced() -> None:
    job = make_job(traceparent=HEADER).start(worker="w", now=4.0, lease_seconds=15)
    again = job.crash(1, "x", now=6.0, delay_seconds=5)
    assert [(span.began, span.ended, span.failed) for span in spans_of_attempt(again)] == [
        (1.0, 4.0, False),
        (4.0, 6.0, True),
    ]
    second = again.start(worker="w", now=12.0, lease_seconds=15).succeed(2, make_report(), now=13.0)
    waiting, attempt, *_ = spans_of_attempt(second)
    assert (waiting.began, attempt.began, attempt.attributes["kammerton.attempt"]) == (6.0, 12.0, 2)


def test_a_job_that_never_ran_or_still_runs_has_no_spans() -> None:
    job = make_job(traceparent=HEADER)
    assert spans_of_attempt(job) == []
    assert spans_of_attempt(job.start(worker="w", now=4.0, lease_seconds=15)) == []
    assert spans_of_attempt(job.cancel(now=2.0)) == []


def test_a_job_without_a_trace_gets_a_new_trace() -> None:
    job = make_job().start(worker="w", now=4.0, lease_seconds=15).succeed(1, make_report(), now=9.0)
    waiting, attempt, *_ = spans_of_attempt(job)
    assert (waiting.parent, attempt.parent) == (None, None)


def test_a_webhook_is_part_of_the_same_trace() -> None:
    delivery = Delivery(
        id="d",
        type=EventType.SUCCEEDED,
        url="https://x.test/secret-path",
        server="x.test:443",
        body="{}",
        created_at=1.0,
        job_id="job-1",
        attempts=(Attempt(at=10.0, milliseconds=250, status=204),),
    )
    span = span_of_delivery(delivery, traceparent=HEADER)
    assert span is not None
    assert (span.context.trace_id, span.began, span.ended, span.failed) == (TRACE, 10.0, 10.25, False)
    assert "secret-path" not in str(span)

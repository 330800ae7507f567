"""Builds trace spans from the records of a job or a delivery. Pure functions."""

from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.domain.webhooks.delivery import Delivery
from shared.observability.traces import Span, TraceContext, Value, new_trace_context, parse_traceparent


def spans_of_attempt(job: Job) -> list[Span]:
    """Spans of the last attempt, its wait and its steps, as children of the request that created the job."""
    events = job.timeline
    index = max((i for i, event in enumerate(events) if event.state is JobState.RUNNING), default=0)
    if index == 0 or index + 1 >= len(events):
        return []  # it never ran, or is still running
    queued, running, ended = events[index - 1 : index + 2]
    request = parse_traceparent(job.traceparent)
    attributes: dict[str, Value] = {"kammerton.job_id": job.id, "kammerton.attempt": running.attempt}
    waiting = Span(
        name="waiting",
        context=_below(request),
        parent=request,
        began=queued.at,
        ended=max(queued.at, running.at),
        attributes=attributes | {"kammerton.queue": job.queue},
    )
    attempt = Span(
        name="attempt",
        context=_below(request),
        parent=request,
        began=running.at,
        ended=max(running.at, ended.at),
        kind="consumer",
        failed=ended.state in {JobState.QUEUED, JobState.DEAD},
        attributes=attributes | _outcome(job),
    )
    return [waiting, attempt, *_steps(job, attempt)]


def _steps(job: Job, attempt: Span) -> list[Span]:
    """Spans of decoding and analysis. Only durations are known, so they are aligned to the attempt's end."""
    if job.report is None:
        return []
    audio, steps, end = job.report.audio, [], attempt.ended
    for name, seconds in (("analysis", audio.analysis_seconds), ("decode", audio.decode_seconds)):
        begin = max(attempt.began, end - seconds)
        context = attempt.context.child()
        steps.append(Span(name=name, context=context, parent=attempt.context, began=begin, ended=end))
        end = begin
    return steps[::-1]


def span_of_delivery(delivery: Delivery, *, traceparent: str | None) -> Span | None:
    """Span of the last delivery attempt, as a child of the request that created the job."""
    if not delivery.attempts:
        return None
    last = delivery.attempts[-1]
    request = parse_traceparent(traceparent)
    return Span(
        name="webhook",
        context=_below(request),
        parent=request,
        began=last.at,
        ended=last.at + last.milliseconds / 1000,
        kind="client",
        failed=not last.accepted,
        attributes={
            "kammerton.job_id": delivery.job_id or "",
            "kammerton.delivery_id": delivery.id,
            "http.response.status_code": last.status or 0,
        },
    )


def _below(request: TraceContext | None) -> TraceContext:
    return request.child() if request else new_trace_context()


def _outcome(job: Job) -> dict[str, Value]:
    outcome: dict[str, Value] = {"kammerton.state": job.state.value}
    if job.problem is not None:
        outcome["kammerton.problem"] = job.problem.code
    if job.report is not None:
        audio = job.report.audio
        outcome |= {
            "kammerton.audio_seconds": audio.analysed_seconds,
            "kammerton.bytes_read": audio.bytes_read,
        }
    return outcome

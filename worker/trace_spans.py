"""From what is recorded of a job or a delivery to the spans of its trace. Pure."""

from shared.domain.delivery import Delivery
from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.observability.traces import Span, TraceContext, Value, new_trace_context, parse_traceparent


def spans_of_attempt(job: Job) -> list[Span]:
    """How long the last attempt waited and took, below the request that made the job."""
    events = job.timeline
    index = max((i for i, event in enumerate(events) if event.state is JobState.RUNNING), default=0)
    if index == 0 or index + 1 >= len(events):
        return []  # it never ran, or still does
    queued, running, ended = events[index - 1 : index + 2]
    request = parse_traceparent(job.traceparent)
    about: dict[str, Value] = {"kammerton.job_id": job.id, "kammerton.attempt": running.attempt}
    waiting = Span(
        name="waiting",
        place=_below(request),
        parent=request,
        began=queued.at,
        ended=max(queued.at, running.at),
        attributes=about | {"kammerton.queue": job.queue},
    )
    attempt = Span(
        name="attempt",
        place=_below(request),
        parent=request,
        began=running.at,
        ended=max(running.at, ended.at),
        kind="consumer",
        failed=ended.state in {JobState.QUEUED, JobState.DEAD},
        attributes=about | _facts(job),
    )
    return [waiting, attempt, *_steps(job, attempt)]


def _steps(job: Job, attempt: Span) -> list[Span]:
    """Decoding and analysis. How long they took is measured; they are drawn at the end of their attempt."""
    if job.report is None:
        return []
    audio, steps, end = job.report.audio, [], attempt.ended
    for name, seconds in (("analysis", audio.analysis_seconds), ("decode", audio.decode_seconds)):
        begin = max(attempt.began, end - seconds)
        place = attempt.place.child()
        steps.append(Span(name=name, place=place, parent=attempt.place, began=begin, ended=end))
        end = begin
    return steps[::-1]


def span_of_delivery(delivery: Delivery, *, traceparent: str | None) -> Span | None:
    """The last attempt to send a webhook, below the request that made its job."""
    if not delivery.attempts:
        return None
    last = delivery.attempts[-1]
    request = parse_traceparent(traceparent)
    return Span(
        name="webhook",
        place=_below(request),
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


def _facts(job: Job) -> dict[str, Value]:
    facts: dict[str, Value] = {"kammerton.state": job.state.value}
    if job.problem is not None:
        facts["kammerton.problem"] = job.problem.code
    if job.report is not None:
        audio = job.report.audio
        facts |= {
            "kammerton.audio_seconds": audio.analysed_seconds,
            "kammerton.bytes_read": audio.bytes_read,
        }
    return facts

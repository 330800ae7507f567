from dataclasses import replace

from shared.domain.job import Job
from shared.domain.job_fields import AudioInput, Problem
from shared.domain.job_state import JobState
from shared.observability import metrics as counts
from shared.observability.job_metrics import metrics_of_change
from shared.observability.recorder import MetricsBuffer
from shared.redis.jobs.metrics_follower import JobMetricsFollower
from tests.support.factories import make_job, make_report


def steps(*jobs: Job) -> dict[str, float]:
    """What a story of changes adds up to."""
    total: dict[str, float] = {}
    for old, new in zip((None, *jobs), jobs, strict=False):
        for field, amount in metrics_of_change(old, new).items():
            total[field] = total.get(field, 0) + amount
    return total


def started(job: Job, now: float = 4.0) -> Job:
    return job.start(worker="w", now=now, lease_seconds=15)


def test_a_successful_job_is_counted_from_the_upload_to_the_verdict() -> None:
    job = make_job(created_at=1.0, queued_at=1.0, due_at=1.0)
    running = started(job)
    ended = running.succeed(1, make_report(), now=9.0, memory_peak_bytes=100 * counts.MIB)
    assert steps(job, running, ended) == {
        "kammerton_jobs_accepted": 1,
        "kammerton_uploaded_bytes": 5,
        "kammerton_job_waiting_seconds|le=5": 1,
        "kammerton_job_waiting_seconds|sum": 3.0,
        "kammerton_jobs_finished|succeeded|none": 1,
        "kammerton_job_total_seconds|le=10": 1,
        "kammerton_job_total_seconds|sum": 8.0,
        "kammerton_job_memory_peak_bytes|le=1.34218e+08": 1,
        "kammerton_job_memory_peak_bytes|sum": 100.0 * counts.MIB,
        "kammerton_verdicts|432": 1,
        "kammerton_job_decode_seconds|le=0.5": 1,
        "kammerton_job_decode_seconds|sum": 0.4,
        "kammerton_job_analysis_seconds|le=0.5": 1,
        "kammerton_job_analysis_seconds|sum": 0.3,
    }


def test_changes_without_a_transition_count_nothing() -> None:
    running = started(make_job())
    renewed = running.renew_lease(1, now=5.0, lease_seconds=99)
    assert metrics_of_change(running, renewed) == {}
    ended = running.succeed(1, make_report(), now=9.0)
    assert metrics_of_change(ended, ended.mark_audio_deleted()) == {}


def test_a_repeated_attempt_is_not_a_new_job() -> None:
    running = started(make_job())
    assert metrics_of_change(running, running.lose_attempt("x", now=9.0)) == {"kammerton_jobs_requeued": 1}
    dead = replace(make_job(), state=JobState.DEAD)
    assert metrics_of_change(dead, dead.retry(now=9.0, attempts=1)) == {}


def test_an_awaited_upload_counts_when_it_arrives() -> None:
    waiting = make_job(state=JobState.AWAITING_UPLOAD, input=AudioInput(), queued_at=None)
    assert metrics_of_change(None, waiting) == {}
    queued = replace(waiting, input=AudioInput(size_bytes=7)).submit(now=5.0)
    assert metrics_of_change(waiting, queued) == {"kammerton_jobs_accepted": 1, "kammerton_uploaded_bytes": 7}


def test_an_unknown_problem_code_is_counted_as_other() -> None:
    running = started(make_job())
    for code, reason in (("no_audio", "no_audio"), ("made-up-by-a-decoder|x", "other")):
        problem = Problem(code=code, message="x", retryable=False)
        assert metrics_of_change(running, running.fail(1, problem, now=9.0))[
            f"kammerton_jobs_finished|failed|{reason}"
        ]


def test_waiting_excludes_the_delay_before_another_attempt() -> None:
    again = started(make_job()).lose_attempt("x", now=10.0, delay_seconds=30)
    running = started(again, now=41.0)
    assert metrics_of_change(again, running)["kammerton_job_waiting_seconds|sum"] == 1.0


def test_the_follower_writes_metrics_and_every_time_range_of_the_history() -> None:
    commands = JobMetricsFollower(prefix="p:")(None, make_job(created_at=61.0))
    assert ["HINCRBYFLOAT", "p:counts", "kammerton_jobs_accepted", "1.0"] in commands
    counted = [command[1] for command in commands if command[0] == "HINCRBY"]
    assert counted == ["p:history:60:60", "p:history:900:0", "p:history:7200:0"]
    assert {command[1] for command in commands if command[0] == "EXPIRE"} == set(counted)


def test_a_label_cannot_break_out_of_its_field() -> None:
    assert counts.field_name("n", ["a|b\n", "/v1/{x}"]) == "n|a_b_|/v1/{x}"


def test_a_buffer_is_drained_once() -> None:
    buffer = MetricsBuffer()
    buffer.add({"a": 1, "b": 2})
    buffer.add({"a": 1})
    taken = buffer.drain()
    assert (taken, buffer.drain()) == ({"a": 2, "b": 2}, {})
    buffer.add(taken)
    assert buffer.drain() == taken

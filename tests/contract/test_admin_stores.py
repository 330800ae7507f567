"""What operators need from outside, over memory and over Redis."""

from dataclasses import replace

import pytest

from shared.domain.history import TIME_RANGES, merge_buckets
from shared.domain.job import Job
from shared.domain.job_fields import AudioInput, Problem
from shared.domain.job_state import JobState
from shared.errors import BadRequest
from shared.ports.admin import (
    AuditEntry,
    AuditLog,
    AuditQuery,
    BulkOperation,
    DashboardStore,
    JobSearch,
    SecretStore,
)
from shared.ports.jobs import JobQuery, JobStore
from shared.ports.metrics import History
from shared.ports.workers import WorkerCommand, WorkerControl
from tests.support.factories import make_job, make_report

HOUR = TIME_RANGES[0]


def start(job: Job) -> Job:
    return job.start(worker="host:1", now=1010.0, lease_seconds=10)


def fail(job: Job) -> Job:
    return job.fail(1, Problem(code="no_audio", message="None.", retryable=False), now=1012.0)


def named(job_id: str, filename: str, **changes: object) -> Job:
    return make_job(job_id, input=AudioInput(filename=filename, sha256=job_id[-1] * 64), **changes)


def test_jobs_are_counted_by_state(jobs: JobStore, overview: JobSearch) -> None:
    for number in range(3):
        jobs.add(make_job(f"job-{number}"))
    jobs.change("job-0", start)
    jobs.remove("job-1")
    counts = overview.count_by_state()
    assert (counts[JobState.QUEUED], counts[JobState.RUNNING], counts[JobState.DEAD]) == (1, 1, 0)


def test_matches_are_counted_if_one_index_has_them_all(jobs: JobStore, overview: JobSearch) -> None:
    for number in range(5):
        jobs.add(make_job(f"job-{number}", created_at=100.0 + number))
    jobs.change("job-4", start)
    jobs.change("job-4", fail)
    assert overview.count(JobQuery()) == 5
    assert overview.count(JobQuery(states=frozenset({JobState.QUEUED}))) == 4
    assert overview.count(JobQuery(created_after=101.0, created_before=103.0)) == 3
    assert overview.count(JobQuery(reason="no_audio")) == 1
    assert overview.count(JobQuery(worker="host:1")) == 1
    assert overview.count(JobQuery(name_contains="x")) is None
    assert overview.count(JobQuery(reason="no_audio", states=frozenset({JobState.FAILED}))) is None


def test_jobs_are_listed_by_reason_and_by_worker(jobs: JobStore) -> None:
    for number in range(3):
        jobs.add(make_job(f"job-{number}"))
    jobs.change("job-1", start)
    jobs.change("job-1", fail)
    assert [job.id for job in jobs.page(JobQuery(reason="no_audio")).jobs] == ["job-1"]
    assert [job.id for job in jobs.page(JobQuery(worker="host:1")).jobs] == ["job-1"]
    assert jobs.page(JobQuery(reason="no_audio", states=frozenset({JobState.DEAD}))).jobs == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("job-1", ["job-1"]),
        ("1" * 64, ["job-1"]),
        ("midnight", ["job-2", "job-1"]),
        ("MIDN", ["job-2", "job-1"]),
        ("apres", ["job-2"]),
        ("midnight late", ["job-1"]),
        ("sun mid", []),
        ("sunrise.mp3", ["job-3"]),
        ("07 sunrise", ["job-3"]),
        ("night", []),
        ("  ", []),
        ("*", []),
        ("\0", []),
    ],
)
def test_jobs_are_found_by_id_digest_and_words(
    jobs: JobStore, overview: JobSearch, text: str, found: list[str]
) -> None:
    jobs.add(named("job-1", "Late_Midnight (mix).mp3", created_at=1.0))
    jobs.add(named("job-2", "Après midnight.mp3", created_at=2.0))
    jobs.add(named("job-3", "07 Sunrise.mp3", created_at=3.0))
    assert [job.id for job in overview.search(text, limit=10)] == found


def test_removed_jobs_are_not_found(jobs: JobStore, overview: JobSearch) -> None:
    jobs.add(named("job-1", "midnight.mp3"))
    jobs.remove("job-1")
    assert overview.search("midnight", limit=10) == ()
    assert overview.search("1" * 64, limit=10) == ()


def test_the_newest_matches_come_first_up_to_the_limit(jobs: JobStore, overview: JobSearch) -> None:
    for number in range(9):
        jobs.add(named(f"job-{number}", "song.mp3", created_at=100.0 + number))
    assert [job.id for job in overview.search("song", limit=3)] == ["job-8", "job-7", "job-6"]


def test_history_counts_each_change_once_in_its_bucket(jobs: JobStore, history: History) -> None:
    jobs.add(make_job("job-1", created_at=1000.0, queued_at=1000.0, due_at=1000.0))
    jobs.change("job-1", start)
    jobs.change("job-1", lambda job: job.renew_lease(1, now=1011.0, lease_seconds=10))
    jobs.change(
        "job-1", lambda job: job.succeed(1, make_report(), now=1015.0, memory_peak_bytes=50 * 1024 * 1024)
    )
    jobs.change("job-1", Job.mark_audio_deleted)
    buckets = history.read(HOUR, now=1100.0)
    assert [bucket.at for bucket in buckets[-2:]] == [1020.0, 1080.0]
    assert len(buckets) == HOUR.buckets
    whole = merge_buckets(buckets)
    assert whole.counts == {"accepted": 1, "started": 1, "succeeded": 1}
    assert whole.verdicts == {"432": 1}
    waiting, running, memory = (whole.quantiles(what) for what in ("waiting", "running", "memory"))
    assert waiting is not None
    assert waiting.p50 == pytest.approx(10.0, rel=0.05)
    assert running is not None
    assert running.p99 == pytest.approx(5.0, rel=0.05)
    assert memory is not None
    assert memory.p95 == pytest.approx(50 * 1024 * 1024, rel=0.05)


def test_history_has_the_reasons_of_failures_and_expires(jobs: JobStore, history: History) -> None:
    jobs.add(make_job("job-1", created_at=1000.0))
    jobs.change("job-1", start)
    jobs.change("job-1", fail)
    assert merge_buckets(history.read(HOUR, now=1020.0)).reasons == {"no_audio": 1}
    assert merge_buckets(history.read(HOUR, now=1020.0 + 3700)).counts == {}


def test_a_refused_change_leaves_no_trace_in_history(jobs: JobStore, history: History) -> None:
    jobs.add(make_job("job-1", created_at=1000.0))
    jobs.change("job-1", lambda job: job)
    assert merge_buckets(history.read(HOUR, now=1020.0)).counts == {"accepted": 1}


def test_queues_stay_paused_until_they_are_resumed(controls: WorkerControl) -> None:
    controls.pause("batch")
    controls.pause("batch")
    assert controls.paused() == {"batch"}
    controls.resume("batch")
    controls.resume("never-paused")
    assert controls.paused() == frozenset()


def test_the_last_command_of_a_worker_replaces_earlier_ones(controls: WorkerControl) -> None:
    controls.send_command("host:1", WorkerCommand.DRAIN)
    controls.send_command("host:1", WorkerCommand.RESTART)
    controls.send_command("host:2", WorkerCommand.DRAIN)
    assert controls.commands() == {"host:1": WorkerCommand.RESTART, "host:2": WorkerCommand.DRAIN}
    controls.clear_command("host:1")
    controls.clear_command("nobody")
    assert controls.commands() == {"host:2": WorkerCommand.DRAIN}


def test_audit_entries_are_read_newest_first(audit: AuditLog) -> None:
    entries = [
        AuditEntry(at=float(number), who="operator Ö", address="::1", act="retry", what="all", count=number)
        for number in range(4)
    ]
    for entry in entries:
        audit.add(entry)
    assert audit.page(AuditQuery(limit=2)).entries == (entries[3], entries[2])


def test_audit_entries_are_filtered_and_paged(audit: AuditLog) -> None:
    for number in range(12):
        who, act = ("operator Ann", "retry") if number % 3 else ("“Bob”", "failed login")
        audit.add(
            AuditEntry(at=float(number), who=who, address="::1", act=act, what=f"job {number}", count=1)
        )

    def pages(**query: str) -> list[list[int]]:
        found, cursor = [], None
        while True:
            page = audit.page(AuditQuery(limit=3, cursor=cursor, **query))
            found.append([int(entry.at) for entry in page.entries])
            cursor = page.cursor
            if cursor is None:
                return found

    assert pages() == [[11, 10, 9], [8, 7, 6], [5, 4, 3], [2, 1, 0]]
    assert pages(act="failed login") == [[9, 6, 3], [0]]
    assert pages(text="ANN") == [[11, 10, 8], [7, 5, 4], [2, 1]]
    assert pages(text="job 1", act="retry") == [[11, 10, 1]]
    assert pages(text="nobody") == [[]]


@pytest.mark.parametrize("cursor", ["nonsense", "1-x", "+", "("])
def test_an_invalid_cursor_of_the_audit_log_is_refused(audit: AuditLog, cursor: str) -> None:
    with pytest.raises(BadRequest):
        audit.page(AuditQuery(cursor=cursor))


def test_scheduled_jobs_are_listed_by_their_start(jobs: JobStore, overview: JobSearch) -> None:
    for number, due_at in enumerate((900.0, 300.0, 50.0, 600.0)):
        queue = "batch" if number == 3 else "interactive"
        jobs.add(make_job(f"job-{number}", queue=queue, due_at=due_at))
    assert [job.id for job in overview.scheduled(now=50.0, limit=9)] == ["job-1", "job-3", "job-0"]
    assert [job.id for job in overview.scheduled(now=50.0, limit=2)] == ["job-1", "job-3"]
    assert overview.scheduled(now=900.0, limit=9) == ()


def test_the_first_value_of_a_secret_stays(vault: SecretStore) -> None:
    assert vault.get_or_create("key", "one") == "one"
    assert vault.get_or_create("key", "two") == "one"
    assert vault.get_or_create("other", "two") == "two"


def test_attempts_are_counted_by_name(vault: SecretStore) -> None:
    assert [vault.count_attempt("a", window_seconds=60) for _ in range(3)] == [1, 2, 3]
    assert vault.count_attempt("b", window_seconds=60) == 1


def test_an_operation_is_read_as_it_was_saved_last(dashboard: DashboardStore) -> None:
    operation = BulkOperation(
        id="op-1",
        action="retry",
        selection="all",
        actor="operator Ann",
        started_at=1.0,
        updated_at=1.0,
        total=5,
    )
    dashboard.save_operation(operation, ttl_seconds=60)
    progress = replace(operation, done=3, refused=1, reason="It is gone.", updated_at=2.5)
    dashboard.save_operation(progress, ttl_seconds=60)
    assert dashboard.find_operation("op-1") == progress
    assert dashboard.find_operation("op-2") is None


def test_a_warning_is_acknowledged_up_to_a_count(dashboard: DashboardStore) -> None:
    assert dashboard.acknowledged() == {}
    dashboard.acknowledge("dead jobs", 3)
    dashboard.acknowledge("dead jobs", 4)
    assert dashboard.acknowledged() == {"dead jobs": 4}

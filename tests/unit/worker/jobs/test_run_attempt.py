import errno
import hashlib
import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, BinaryIO

import pytest

from shared.domain.job import Job
from shared.domain.job_fields import AudioInput, Problem
from shared.domain.job_state import JobState
from shared.domain.source import Source
from shared.errors import (
    Crashed,
    OutOfMemory,
    SourceRefused,
    SourceUnavailable,
    TooComplex,
    Unavailable,
    Undecodable,
)
from tests.support.captured_logs import capture_logs
from tests.support.factories import make_job, make_report
from tests.support.fakes.jobs import MemoryAudioStore, MemoryJobStore
from worker.jobs.analysis_result import AnalysisResult
from worker.jobs.backoff import Backoff
from worker.jobs.run_attempt import AttemptConfig, AttemptRunner, OpenAudio

CONFIG = AttemptConfig(lease_seconds=15, retry_seconds=5, keep_audio=False, record_timeout_seconds=5)


SONG = AudioInput(size_bytes=4, sha256=hashlib.sha256(b"song").hexdigest())


class Harness:
    def __init__(self, **changes: Any) -> None:
        self.jobs = MemoryJobStore()
        self.audio = MemoryAudioStore()
        self.jobs.add(make_job(**{"input": SONG} | changes))
        self.audio.objects["job-1"] = (b"song", 1.0)
        self.remote: bytes | Exception = b"song"
        self.asked: list[str] = []
        self.pauses: list[float] = []
        self.backoff = Backoff(sleep=self.pauses.append)

    def run(
        self,
        analyze_audio: Callable[..., AnalysisResult],
        *,
        job_id: str = "job-1",
        config: AttemptConfig = CONFIG,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> Job | None:
        return AttemptRunner(
            jobs=self.jobs,
            audio=self.audio,
            fetch=self.fetch,
            analyze_audio=analyze_audio,
            worker=lambda: "w",
            config=config,
            is_stopping=is_stopping,
            backoff=self.backoff,
        ).run(job_id)

    @contextmanager
    def fetch(self, url: str, *, on_tick: Callable[[], None]) -> Iterator[OpenAudio]:
        self.asked.append(url)
        if isinstance(self.remote, Exception):
            raise self.remote
        yield OpenAudio(file=io.BytesIO(self.remote), size_bytes=len(self.remote))

    @property
    def job(self) -> Job:
        return self.jobs.get("job-1")


def succeeds(audio: BinaryIO, **_: Any) -> AnalysisResult:
    assert audio.read() == b"song"
    return AnalysisResult(report=make_report(), memory_peak_bytes=123)


def raises(error: Exception) -> Callable[..., AnalysisResult]:
    def analyze_audio(*_: Any, **__: Any) -> AnalysisResult:
        raise error

    return analyze_audio


def test_a_job_succeeds_with_its_report_and_its_audio_is_deleted() -> None:
    harness = Harness(start_seconds=None)
    harness.run(succeeds)
    assert harness.job.state is JobState.SUCCEEDED
    assert harness.job.report == make_report()
    assert harness.job.timeline[-1].memory_peak_bytes == 123
    assert harness.audio.objects == {}
    assert not harness.job.has_audio


def test_keep_audio_keeps_the_audio() -> None:
    harness = Harness()
    harness.run(succeeds, config=AttemptConfig(lease_seconds=15, retry_seconds=5, keep_audio=True))
    assert harness.job.has_audio
    assert "job-1" in harness.audio.objects


@pytest.mark.parametrize("error", [Undecodable("No decoder finds audio."), TooComplex("Too much.")])
def test_unanalysable_audio_fails_the_job_permanently(error: Any) -> None:
    harness = Harness()
    harness.run(raises(error))
    assert harness.job.state is JobState.FAILED
    assert harness.job.problem is not None
    assert (harness.job.problem.code, harness.job.problem.retryable) == (error.code, False)
    assert harness.audio.objects == {}


def test_an_object_that_was_cut_short_gets_no_report() -> None:
    class CutShort(io.BytesIO):
        size_bytes = 4

    harness = Harness(attempts_allowed=1, input=replace(SONG, size_bytes=5))
    harness.audio.open = lambda key: CutShort(b"song")  # type: ignore[method-assign]
    harness.run(succeeds)
    assert harness.job.state is JobState.QUEUED, "released, and no attempt used up"
    assert harness.job.timeline[-1].why == "The audio storage has 4 bytes of 5."


def test_missing_audio_fails_the_job() -> None:
    harness = Harness()
    harness.audio.objects.clear()
    harness.run(succeeds)
    assert harness.job.problem is not None
    assert harness.job.problem.code == "audio_missing"


def test_a_crash_uses_up_an_attempt_and_the_last_crash_makes_the_job_dead() -> None:
    harness = Harness(attempts_allowed=2)
    harness.run(raises(Crashed("SIGSEGV")))
    assert (harness.job.state, harness.job.attempts) == (JobState.QUEUED, 1)
    assert (harness.job.due_at or 0) > time.time() + 3
    harness.jobs.jobs["job-1"] = make_job(attempts=1, attempts_allowed=2)
    harness.run(raises(Crashed("SIGSEGV")))
    assert harness.job.state is JobState.DEAD
    assert "job-1" in harness.audio.objects


def test_unavailable_storage_releases_the_job_without_using_up_an_attempt() -> None:
    harness = Harness(attempts_allowed=1)
    harness.run(raises(Unavailable("away")))
    assert harness.job.state is JobState.QUEUED
    assert harness.job.attempts < harness.job.attempts_allowed


def test_a_duplicate_message_does_nothing() -> None:
    harness = Harness()
    harness.run(succeeds)
    before = harness.job
    assert harness.run(raises(AssertionError())) is None
    assert harness.job == before
    assert harness.run(succeeds, job_id="nobody") is None


def test_canceling_a_running_job_stops_its_analysis() -> None:
    harness = Harness()

    def analyze_audio(audio: BinaryIO, *, on_tick: Callable[[], None], **_: Any) -> AnalysisResult:
        harness.jobs.change("job-1", lambda job: job.cancel(now=time.time()))
        for _round in range(100):
            on_tick()
            time.sleep(0.05)
        raise AssertionError("was never stopped")

    harness.run(analyze_audio)
    assert harness.job.state is JobState.CANCELED
    assert harness.audio.objects == {}


def test_the_result_of_a_worker_that_lost_its_lease_is_refused() -> None:
    harness = Harness()

    def analyze_audio(*_: Any, **__: Any) -> AnalysisResult:
        harness.jobs.change(
            "job-1", lambda job: job.start(worker="other", now=time.time() + 60, lease_seconds=15)
        )
        return AnalysisResult(report=make_report(), memory_peak_bytes=1)

    assert harness.run(analyze_audio) is None
    assert (harness.job.state, harness.job.attempts) == (JobState.RUNNING, 2)
    assert "job-1" in harness.audio.objects


def test_a_stopping_worker_releases_its_job_at_once() -> None:
    harness = Harness(attempts_allowed=1)

    def analyze_audio(audio: BinaryIO, *, on_tick: Callable[[], None], **_: Any) -> AnalysisResult:
        on_tick()
        raise AssertionError("was never stopped")

    harness.run(analyze_audio, is_stopping=lambda: True)
    assert harness.job.state is JobState.QUEUED
    assert harness.job.attempts < harness.job.attempts_allowed
    assert (
        harness.job.due_at or 0
    ) < time.time() + 1  # no retry delay; the clock of the store is an estimate


def test_the_lease_is_renewed_while_the_analysis_runs() -> None:
    harness = Harness()
    leases: list[float] = []

    def analyze_audio(audio: BinaryIO, *, on_tick: Callable[[], None], **_: Any) -> AnalysisResult:
        for _round in range(25):
            on_tick()
            time.sleep(0.05)
            assert harness.job.lease is not None
            leases.append(harness.job.lease.until)
        return AnalysisResult(report=make_report(), memory_peak_bytes=1)

    harness.run(analyze_audio, config=AttemptConfig(lease_seconds=1.5, retry_seconds=5, keep_audio=False))
    assert harness.job.state is JobState.SUCCEEDED
    assert len(set(leases)) >= 2


def test_a_result_survives_a_short_outage_of_the_job_store() -> None:
    harness = Harness()
    change = harness.jobs.change
    failures = 3

    def flaky(job_id: str, step: Callable[[Job], Job]) -> Job:
        nonlocal failures
        if harness.job.state is JobState.RUNNING and failures:
            failures -= 1
            raise Unavailable("away")
        return change(job_id, step)

    harness.jobs.change = flaky  # type: ignore[method-assign]
    harness.run(succeeds)
    assert failures == 0
    assert harness.job.state is JobState.SUCCEEDED


def test_audio_that_could_not_be_deleted_stays_recorded() -> None:
    harness = Harness()

    def away(key: str) -> None:
        raise Unavailable("away")

    harness.audio.delete = away  # type: ignore[method-assign]
    harness.run(succeeds)
    assert harness.job.state is JobState.SUCCEEDED
    assert harness.job.has_audio
    assert harness.jobs.due_work(now=1e12, limit=9).audio_to_delete == ("job-1",)


def test_the_parent_never_reads_the_whole_object() -> None:
    harness = Harness()

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise AssertionError("only the child asks for bytes")

    harness.audio.open = lambda key: Watched(b"song")  # type: ignore[method-assign]
    harness.run(lambda *_, **__: AnalysisResult(report=make_report(), memory_peak_bytes=1))
    assert harness.job.state is JobState.SUCCEEDED


@pytest.mark.parametrize("blocked", ["open", "read"])
def test_a_job_is_canceled_while_the_storage_hangs(blocked: str) -> None:
    harness = Harness()

    def wait_until_canceled(*_: Any) -> Any:
        harness.jobs.change("job-1", lambda job: job.cancel(now=time.time()))
        with harness.jobs.changed:
            over = harness.jobs.changed.wait_for(lambda: harness.job.state.is_final, timeout=60)
        raise Unavailable("This is ignored." if over else "The read was waited for.")

    class Silent(io.BytesIO):
        readinto = wait_until_canceled

    if blocked == "open":
        harness.audio.open = wait_until_canceled  # type: ignore[method-assign, assignment]
    else:
        harness.audio.open = lambda key: Silent(b"song")  # type: ignore[method-assign]
    ended = harness.run(succeeds)
    assert ended is not None
    assert ended.state is JobState.CANCELED
    assert harness.audio.objects == {}
    assert "cancellable-io" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("blocked", ["open", "read"])
def test_a_job_is_released_if_the_storage_times_out(blocked: str) -> None:
    harness = Harness()

    def wait_until_released(*_: Any) -> Any:
        with harness.jobs.changed:
            assert harness.jobs.changed.wait_for(lambda: harness.job.state is JobState.QUEUED, timeout=60)

    class Dribbling(io.BytesIO):
        readinto = wait_until_released

    if blocked == "open":
        harness.audio.open = wait_until_released  # type: ignore[method-assign, assignment]
    else:
        harness.audio.open = lambda key: Dribbling(b"song")  # type: ignore[method-assign]
    harness.run(
        lambda audio, **_: succeeds(io.BytesIO(audio.read(4))),
        config=replace(CONFIG, storage_timeout_seconds=0),
    )
    assert (harness.job.state, harness.job.attempts_allowed - harness.job.attempts) == (JobState.QUEUED, 3)
    assert "storage" in (harness.job.timeline[-1].why or "")
    assert harness.audio.objects
    assert "cancellable-io" not in {thread.name for thread in threading.enumerate()}


def test_the_lease_is_renewed_while_the_storage_hangs() -> None:
    harness = Harness()

    class Slow(io.BytesIO):
        def readinto(self, buffer: Any) -> int:
            lease, patience = harness.job.lease, time.monotonic() + 60
            while harness.job.lease == lease:
                assert time.monotonic() < patience
                time.sleep(0.01)
            return super().readinto(buffer)

    harness.audio.open = lambda key: Slow(b"song")  # type: ignore[method-assign]
    harness.run(
        lambda audio, **_: succeeds(io.BytesIO(audio.read(4))), config=replace(CONFIG, lease_seconds=6)
    )
    assert (harness.job.state, harness.job.attempts) == (JobState.SUCCEEDED, 1)


def test_every_log_line_of_an_attempt_has_the_id_of_the_request_that_created_the_job() -> None:
    with capture_logs() as log:
        Harness(request_id="r-1").run(succeeds)
        lines = log.lines()
    assert {line["event"] for line in lines} == {"attempt_started", "attempt_ended"}
    assert {(line["job_id"], line["request_id"]) for line in lines} == {("job-1", "r-1")}


SONG_URL = "https://files.example/song?signature=t0psecret"
PATIENT = AttemptConfig(
    lease_seconds=15, retry_seconds=5, keep_audio=False, source_retry_seconds=(30.0, 60.0)
)


def make_source_url_world(remote: bytes | Exception = b"song", **changes: Any) -> Harness:
    source = {"source": Source.from_url(SONG_URL), "has_audio": False, "input": AudioInput()}
    harness = Harness(**source | changes)
    harness.audio.objects.clear()
    harness.remote = remote
    return harness


def test_a_source_url_is_fetched_then_deleted_and_the_size_is_kept() -> None:
    harness = make_source_url_world()
    with capture_logs() as logged:
        harness.run(succeeds)
    assert harness.job.state is JobState.SUCCEEDED
    assert harness.asked == [SONG_URL]
    assert (harness.job.input.size_bytes, harness.job.source) == (
        4,
        Source(server="https://files.example", url=None),
    )
    assert "t0psecret" not in logged.text


def test_an_unavailable_source_delays_the_job_and_fails_it_after_the_last_delay() -> None:
    harness = make_source_url_world(
        SourceUnavailable("It answered 503.", retry_after_seconds=45), attempts_allowed=1
    )
    harness.run(succeeds, config=PATIENT)
    job = harness.job
    assert (job.state, job.timeline[-1].why) == (JobState.QUEUED, "It answered 503.")
    assert job.attempts < job.attempts_allowed
    assert (job.due_at or 0) - (job.queued_at or 0) == 45
    for _ in range(2):
        harness.jobs.change("job-1", lambda job: replace(job, due_at=0.0))
        harness.run(succeeds, config=PATIENT)
    assert (harness.job.state, len(harness.asked)) == (JobState.FAILED, 3)
    assert harness.job.problem == Problem(code="source_away", message="It answered 503.", retryable=True)
    assert harness.job.audio_available


@pytest.mark.parametrize("retryable", [False, True])
def test_a_source_without_audio_fails_the_job_at_once(retryable: bool) -> None:
    harness = make_source_url_world(SourceRefused("Changed.", code="source_changed", retryable=retryable))
    harness.run(succeeds)
    assert harness.job.problem == Problem(code="source_changed", message="Changed.", retryable=retryable)
    assert harness.job.audio_available == retryable


def test_a_deleted_source_url_is_missing_audio() -> None:
    harness = make_source_url_world(source=Source(server="https://files.example", url=None))
    harness.run(succeeds)
    assert harness.job.problem is not None
    assert harness.job.problem.code == "audio_missing"
    assert harness.asked == []


def test_a_fetched_file_that_crashes_its_decoder_uses_up_attempts() -> None:
    harness = make_source_url_world(attempts_allowed=1)
    harness.run(raises(Crashed("SIGSEGV")))
    assert harness.job.state is JobState.DEAD
    assert harness.job.audio_available


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, "Too many open files"),
        BlockingIOError(errno.EAGAIN, "no process"),
        MemoryError(),
    ],
)
def test_an_exhausted_machine_burns_no_attempt(error: Exception) -> None:
    harness = Harness(attempts_allowed=1)
    harness.run(raises(error))
    assert harness.job.state is JobState.QUEUED
    assert (harness.job.attempts, harness.job.attempts_allowed) == (1, 2)


def test_a_bug_is_not_the_machines_trouble() -> None:
    with pytest.raises(FileNotFoundError):
        Harness().run(raises(FileNotFoundError(errno.ENOENT, "missing")))


def test_running_out_of_memory_burns_no_attempt_at_first_but_ends_sometime() -> None:
    harness = Harness(attempts_allowed=1)
    runs = 0
    while not harness.job.state.is_final:
        harness.jobs.change("job-1", lambda job: replace(job, due_at=0.0))
        harness.run(raises(OutOfMemory("No memory.")))
        runs += 1
    assert harness.job.state is JobState.DEAD
    assert runs == 11


def test_a_worker_in_trouble_slows_down_until_an_attempt_gets_through() -> None:
    harness = Harness(attempts_allowed=1)
    paused = []
    for _ in range(7):
        harness.jobs.change("job-1", lambda job: replace(job, due_at=0.0))
        harness.pauses.clear()
        harness.run(raises(Unavailable("away")))
        paused.append(sum(harness.pauses))
    assert paused == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    harness.jobs.change("job-1", lambda job: replace(job, due_at=0.0))
    harness.pauses.clear()
    harness.run(succeeds)
    assert harness.pauses == []


def test_a_worker_that_stops_does_not_wait_for_its_trouble_to_end() -> None:
    harness = Harness()
    stopping = iter([False, *[True] * 10])
    harness.run(raises(Unavailable("away")), is_stopping=lambda: next(stopping))
    assert harness.pauses == [0.25]

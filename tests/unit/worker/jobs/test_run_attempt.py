import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, BinaryIO

import pytest

from shared.domain.job import AudioInput, Job, Problem
from shared.domain.job_state import JobState
from shared.domain.source import Source
from shared.errors import Crashed, SourceRefused, SourceUnavailable, TooComplex, Unavailable, Undecodable
from tests.support.captured_logs import capture_logs
from tests.support.factories import make_job, make_report
from tests.support.fakes.jobs import MemoryAudioStore, MemoryJobStore
from worker.jobs.analysis_result import AnalysisResult
from worker.jobs.run_attempt import AttemptConfig, AttemptRunner, OpenAudio

CONFIG = AttemptConfig(lease_seconds=15, retry_seconds=5, keep_audio=False, record_timeout_seconds=5)


class World:
    def __init__(self, **changes: Any) -> None:
        self.jobs = MemoryJobStore()
        self.audio = MemoryAudioStore()
        self.jobs.add(make_job(**changes))
        self.audio.objects["job-1"] = (b"song", 1.0)
        self.remote: bytes | Exception = b"song"
        self.asked: list[str] = []

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


def test_a_job_ends_with_its_report_and_without_its_audio() -> None:
    world = World(start_seconds=None)
    world.run(succeeds)
    assert world.job.state is JobState.SUCCEEDED
    assert world.job.report == make_report()
    assert world.job.timeline[-1].memory_peak_bytes == 123
    assert world.audio.objects == {}
    assert not world.job.has_audio


def test_a_setting_keeps_the_audio() -> None:
    world = World()
    world.run(succeeds, config=AttemptConfig(lease_seconds=15, retry_seconds=5, keep_audio=True))
    assert world.job.has_audio
    assert "job-1" in world.audio.objects


@pytest.mark.parametrize("error", [Undecodable("No decoder finds audio."), TooComplex("Too much.")])
def test_a_problem_of_the_recording_fails_the_job_for_good(error: Any) -> None:
    world = World()
    world.run(raises(error))
    assert world.job.state is JobState.FAILED
    assert world.job.problem is not None
    assert (world.job.problem.code, world.job.problem.retryable) == (error.code, False)
    assert world.audio.objects == {}


def test_missing_audio_fails_the_job_out_loud() -> None:
    world = World()
    world.audio.objects.clear()
    world.run(succeeds)
    assert world.job.problem is not None
    assert world.job.problem.code == "audio_missing"


def test_a_crash_is_one_attempt_and_the_last_one_is_death() -> None:
    world = World(attempts_allowed=2)
    world.run(raises(Crashed("SIGSEGV")))
    assert (world.job.state, world.job.attempts) == (JobState.QUEUED, 1)
    assert (world.job.due_at or 0) > time.time() + 3
    world.jobs.jobs["job-1"] = make_job(attempts=1, attempts_allowed=2)
    world.run(raises(Crashed("SIGSEGV")))
    assert world.job.state is JobState.DEAD
    assert "job-1" in world.audio.objects


def test_storage_that_is_away_hands_the_job_back_without_using_up_an_attempt() -> None:
    world = World(attempts_allowed=1)
    world.run(raises(Unavailable("away")))
    assert world.job.state is JobState.QUEUED
    assert world.job.attempts < world.job.attempts_allowed


def test_a_repeated_doorbell_does_nothing() -> None:
    world = World()
    world.run(succeeds)
    before = world.job
    assert world.run(raises(AssertionError())) is None
    assert world.job == before
    assert world.run(succeeds, job_id="nobody") is None


def test_a_cancel_while_running_stops_the_work() -> None:
    world = World()

    def analyze_audio(audio: BinaryIO, *, on_tick: Callable[[], None], **_: Any) -> AnalysisResult:
        world.jobs.change("job-1", lambda job: job.cancel(now=time.time()))
        for _round in range(100):
            on_tick()
            time.sleep(0.05)
        raise AssertionError("was never stopped")

    world.run(analyze_audio)
    assert world.job.state is JobState.CANCELED
    assert world.audio.objects == {}


def test_the_result_of_a_worker_that_was_overtaken_is_refused() -> None:
    world = World()

    def analyze_audio(*_: Any, **__: Any) -> AnalysisResult:
        world.jobs.change(
            "job-1", lambda job: job.start(worker="other", now=time.time() + 60, lease_seconds=15)
        )
        return AnalysisResult(report=make_report(), memory_peak_bytes=1)

    assert world.run(analyze_audio) is None
    assert (world.job.state, world.job.attempts) == (JobState.RUNNING, 2)
    assert "job-1" in world.audio.objects


def test_a_worker_that_is_told_to_stop_hands_its_job_back_at_once() -> None:
    world = World(attempts_allowed=1)

    def analyze_audio(audio: BinaryIO, *, on_tick: Callable[[], None], **_: Any) -> AnalysisResult:
        on_tick()
        raise AssertionError("was never stopped")

    world.run(analyze_audio, is_stopping=lambda: True)
    assert world.job.state is JobState.QUEUED
    assert world.job.attempts < world.job.attempts_allowed
    assert (world.job.due_at or 0) <= time.time()


def test_the_lease_is_renewed_while_the_work_goes_on() -> None:
    world = World()
    leases: list[float] = []

    def analyze_audio(audio: BinaryIO, *, on_tick: Callable[[], None], **_: Any) -> AnalysisResult:
        for _round in range(25):
            on_tick()
            time.sleep(0.05)
            assert world.job.lease is not None
            leases.append(world.job.lease.until)
        return AnalysisResult(report=make_report(), memory_peak_bytes=1)

    world.run(analyze_audio, config=AttemptConfig(lease_seconds=1.5, retry_seconds=5, keep_audio=False))
    assert world.job.state is JobState.SUCCEEDED
    assert len(set(leases)) >= 2


def test_a_result_survives_a_short_outage_of_the_job_store() -> None:
    world = World()
    change = world.jobs.change
    failures = 3

    def flaky(job_id: str, step: Callable[[Job], Job]) -> Job:
        nonlocal failures
        if world.job.state is JobState.RUNNING and failures:
            failures -= 1
            raise Unavailable("away")
        return change(job_id, step)

    world.jobs.change = flaky  # type: ignore[method-assign]
    world.run(succeeds)
    assert failures == 0
    assert world.job.state is JobState.SUCCEEDED


def test_audio_that_could_not_be_deleted_stays_known() -> None:
    world = World()

    def away(key: str) -> None:
        raise Unavailable("away")

    world.audio.delete = away  # type: ignore[method-assign]
    world.run(succeeds)
    assert world.job.state is JobState.SUCCEEDED
    assert world.job.has_audio
    assert world.jobs.due_work(now=1e12, limit=9).audio_to_delete == ("job-1",)


def test_the_whole_object_is_never_read_by_us() -> None:
    world = World()

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise AssertionError("only the child asks for bytes")

    world.audio.open = lambda key: Watched(b"song")  # type: ignore[method-assign]
    world.run(lambda *_, **__: AnalysisResult(report=make_report(), memory_peak_bytes=1))
    assert world.job.state is JobState.SUCCEEDED


@pytest.mark.parametrize("blocked", ["open", "read"])
def test_a_job_is_canceled_while_our_own_storage_keeps_silent(blocked: str) -> None:
    world = World()

    def until_the_end_is_recorded(*_: Any) -> Any:
        world.jobs.change("job-1", lambda job: job.cancel(now=time.time()))
        with world.jobs.changed:
            over = world.jobs.changed.wait_for(lambda: world.job.state.is_final, timeout=60)
        raise Unavailable("Nobody hears this." if over else "The read was waited for.")

    class Silent(io.BytesIO):
        readinto = until_the_end_is_recorded

    if blocked == "open":
        world.audio.open = until_the_end_is_recorded  # type: ignore[method-assign, assignment]
    else:
        world.audio.open = lambda key: Silent(b"song")  # type: ignore[method-assign]
    ended = world.run(succeeds)
    assert ended is not None
    assert ended.state is JobState.CANCELED
    assert world.audio.objects == {}
    assert "cancellable-io" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("blocked", ["open", "read"])
def test_a_job_is_handed_back_where_our_own_storage_takes_for_ever(blocked: str) -> None:
    world = World()

    def until_it_is_handed_back(*_: Any) -> Any:
        with world.jobs.changed:
            assert world.jobs.changed.wait_for(lambda: world.job.state is JobState.QUEUED, timeout=60)

    class Dribbling(io.BytesIO):
        readinto = until_it_is_handed_back

    if blocked == "open":
        world.audio.open = until_it_is_handed_back  # type: ignore[method-assign, assignment]
    else:
        world.audio.open = lambda key: Dribbling(b"song")  # type: ignore[method-assign]
    world.run(
        lambda audio, **_: succeeds(io.BytesIO(audio.read(4))),
        config=replace(CONFIG, storage_timeout_seconds=0),
    )
    assert (world.job.state, world.job.attempts_allowed - world.job.attempts) == (JobState.QUEUED, 3)
    assert "storage" in (world.job.timeline[-1].why or "")
    assert world.audio.objects
    assert "cancellable-io" not in {thread.name for thread in threading.enumerate()}


def test_a_lease_is_kept_while_our_own_storage_keeps_silent() -> None:
    world = World()

    class Slow(io.BytesIO):
        def readinto(self, buffer: Any) -> int:
            lease, patience = world.job.lease, time.monotonic() + 60
            while world.job.lease == lease:
                assert time.monotonic() < patience
                time.sleep(0.01)
            return super().readinto(buffer)

    world.audio.open = lambda key: Slow(b"song")  # type: ignore[method-assign]
    world.run(lambda audio, **_: succeeds(io.BytesIO(audio.read(4))), config=replace(CONFIG, lease_seconds=6))
    assert (world.job.state, world.job.attempts) == (JobState.SUCCEEDED, 1)


def test_every_line_of_an_attempt_has_the_id_of_the_request_that_made_the_job() -> None:
    with capture_logs() as log:
        World(request_id="r-1").run(succeeds)
        lines = log.lines()
    assert {line["event"] for line in lines} == {"attempt_started", "attempt_ended"}
    assert {(line["job_id"], line["request_id"]) for line in lines} == {("job-1", "r-1")}


SONG_URL = "https://files.example/song?signature=t0psecret"
PATIENT = AttemptConfig(
    lease_seconds=15, retry_seconds=5, keep_audio=False, source_retry_seconds=(30.0, 60.0)
)


def make_source_url_world(remote: bytes | Exception = b"song", **changes: Any) -> World:
    source = {"source": Source.from_url(SONG_URL), "has_audio": False, "input": AudioInput()}
    world = World(**source | changes)
    world.audio.objects.clear()
    world.remote = remote
    return world


def test_a_job_with_an_address_is_fetched_and_forgets_the_address_but_not_the_size() -> None:
    world = make_source_url_world()
    with capture_logs() as logged:
        world.run(succeeds)
    assert world.job.state is JobState.SUCCEEDED
    assert world.asked == [SONG_URL]
    assert (world.job.input.size_bytes, world.job.source) == (
        4,
        Source(server="https://files.example", url=None),
    )
    assert "t0psecret" not in logged.text


def test_a_server_that_is_away_puts_the_job_off_and_fails_it_when_patience_is_over() -> None:
    world = make_source_url_world(
        SourceUnavailable("It answered 503.", retry_after_seconds=45), attempts_allowed=1
    )
    world.run(succeeds, config=PATIENT)
    job = world.job
    assert (job.state, job.timeline[-1].why) == (JobState.QUEUED, "It answered 503.")
    assert job.attempts < job.attempts_allowed
    assert (job.due_at or 0) - (job.queued_at or 0) == 45
    for _ in range(2):
        world.jobs.change("job-1", lambda job: replace(job, due_at=0.0))
        world.run(succeeds, config=PATIENT)
    assert (world.job.state, len(world.asked)) == (JobState.FAILED, 3)
    assert world.job.problem == Problem(code="source_away", message="It answered 503.", retryable=True)
    assert world.job.audio_available


@pytest.mark.parametrize("retryable", [False, True])
def test_an_address_that_gives_no_audio_fails_the_job_at_once(retryable: bool) -> None:
    world = make_source_url_world(SourceRefused("Changed.", code="source_changed", retryable=retryable))
    world.run(succeeds)
    assert world.job.problem == Problem(code="source_changed", message="Changed.", retryable=retryable)
    assert world.job.audio_available == retryable


def test_an_address_that_is_forgotten_is_a_job_without_audio() -> None:
    world = make_source_url_world(source=Source(server="https://files.example", url=None))
    world.run(succeeds)
    assert world.job.problem is not None
    assert world.job.problem.code == "audio_missing"
    assert world.asked == []


def test_a_fetched_file_that_kills_its_decoder_costs_attempts() -> None:
    world = make_source_url_world(attempts_allowed=1)
    world.run(raises(Crashed("SIGSEGV")))
    assert world.job.state is JobState.DEAD
    assert world.job.audio_available

"""Runs one attempt of a job, over ports. Knows no Celery: a test calls it."""

import errno
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol, cast

from shared.audio_deletion import discard_audio
from shared.clock import store_time
from shared.domain.job import Job
from shared.domain.job_fields import Problem
from shared.errors import (
    AudioDamaged,
    AudioMissing,
    Conflict,
    Crashed,
    LeaseLost,
    NotFound,
    OutOfMemory,
    SourceRefused,
    SourceUnavailable,
    Unanalysable,
    Unavailable,
)
from shared.observability.logs import bind_log_context, get_logger
from shared.ports.audio import AudioStore
from shared.ports.jobs import JobStore
from worker.jobs.analysis_result import AnalysisResult
from worker.jobs.backoff import Backoff
from worker.jobs.cancellable_io import CALL_TIMEOUT_SECONDS, CancellableIO
from worker.jobs.lease_keeper import Canceled, LeaseKeeper, Stopping
from worker.jobs.stored_audio import StoredAudio, verify_whole

_log = get_logger(__name__)

_MACHINE_ERRNOS = {errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC}
_MAX_RELEASES = 10
"""From the next attempt on, a lack of memory uses an attempt up, because the file may be the cause, and
damaged audio fails the job, because it won't heal."""


class AnalyzeAudio(Protocol):
    """Turns audio into a result, in a sandbox where hostile audio can do no harm."""

    def __call__(
        self, audio: BinaryIO, *, start_seconds: float | None, on_tick: Callable[[], None]
    ) -> AnalysisResult:
        """*on_tick* runs about twice a second; an exception from it stops the work and propagates.

        Raises:
            Unanalysable, Crashed: and whatever reading *audio* raises.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAudio:
    """An audio file that is ready to be read."""

    file: BinaryIO
    size_bytes: int | None = None
    """Size of a file on another server, if that server reported it."""
    verify: Callable[[], None] = lambda: None
    """Raises AudioDamaged if all of it was read and is not what was uploaded."""


class FetchAudio(Protocol):
    """Opens the audio at a URL as a seekable file."""

    def __call__(self, url: str, *, on_tick: Callable[[], None]) -> AbstractContextManager[OpenAudio]:
        """*on_tick* as in AnalyzeAudio.

        Raises:
            SourceUnavailable, Unanalysable: here or on any read.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptConfig:
    """Time limits of an attempt, in seconds, and what happens to the audio afterwards."""

    lease_seconds: float
    retry_seconds: float
    """Pause before another attempt."""
    keep_audio: bool
    source_retry_seconds: Sequence[float] = ()
    """Pauses before an unavailable source server is asked again."""
    record_timeout_seconds: float = 60
    """How long to retry writing the result while the job store is unavailable."""
    storage_timeout_seconds: float = CALL_TIMEOUT_SECONDS
    """How long one call to the audio storage may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRunner:
    """Runs attempts. One for each worker process."""

    jobs: JobStore
    audio: AudioStore
    fetch: FetchAudio
    analyze_audio: AnalyzeAudio
    worker: Callable[[], str]
    """Name of this worker process, as the job's record shows it."""
    config: AttemptConfig
    paused_queues: Callable[[], frozenset[str]] = frozenset
    is_stopping: Callable[[], bool] = lambda: False
    """Asked all the time. Once true, the job is released unfinished."""
    backoff: Backoff = field(default_factory=Backoff)

    def run(self, job_id: str) -> Job | None:
        """Run one attempt, and return the job as it ended.

        None if there was nothing to do: the message was stale or a duplicate, or the queue is paused. The
        rescuer enqueues the jobs of a paused queue again once it is resumed.

        Raises:
            Unavailable: the job store is unavailable. The rescuer finds the job later.
        """
        try:
            job = self._start(job_id)
        except (Conflict, NotFound) as error:
            _log.info("job_message_ignored", job_id=job_id, reason=error.message)
            return None
        except Unavailable:
            self.backoff.add_trouble()
            self._slow_down()
            raise
        if job.request_id is not None:
            bind_log_context(
                request_id=job.request_id
            )  # a message that the rescuer enqueued does not carry it
        if job.state.is_final:
            _log.warning("job_dead", job_id=job_id, attempts=job.attempts)
            return job
        _log.info("attempt_started", job_id=job_id, attempt=job.attempts)
        ended = self._run_started(job)
        self._slow_down()
        return ended

    def _slow_down(self) -> None:
        if self.backoff.seconds:
            _log.warning("worker_slowed_down", seconds=self.backoff.seconds)
            self.backoff.pause(self.is_stopping)

    def _run_started(self, job: Job) -> Job | None:
        lease = LeaseKeeper(
            job, jobs=self.jobs, lease_seconds=self.config.lease_seconds, is_stopping=self.is_stopping
        )
        try:
            with CancellableIO(lease.check, timeout_seconds=self.config.storage_timeout_seconds) as io:
                ended = self._record(job.id, self._attempt(job, io=io, lease=lease))
                _log.info("attempt_ended", job_id=job.id, attempt=job.attempts, state=ended.state)
                if ended.has_audio and ended.audio_unneeded and not self.config.keep_audio:
                    discard_audio(ended, jobs=self.jobs, audio=self.audio)
                return ended
        except (LeaseLost, NotFound):
            _log.warning("lease_lost", job_id=job.id, attempt=job.attempts)
            return None

    def _start(self, job_id: str) -> Job:
        paused = self.paused_queues()

        def step(job: Job) -> Job:
            if job.queue in paused:
                raise Conflict("The queue is paused.")
            return job.start(worker=self.worker(), now=store_time(), lease_seconds=self.config.lease_seconds)

        return self.jobs.change(job_id, step)

    def _attempt(self, job: Job, *, io: CancellableIO, lease: LeaseKeeper) -> Callable[[Job], Job]:
        """Do the work. Returns the change of the job that records how it ended."""
        token = job.attempts
        try:
            with self._open_audio(job, io) as audio:
                result = self.analyze_audio(audio.file, start_seconds=job.start_seconds, on_tick=lease.check)
                audio.verify()
        except Canceled:
            return lambda job: job.confirm_cancel(token, now=store_time())
        except (OSError, MemoryError) as error:
            if not _is_of_the_machine(error):
                raise
            _log.warning("machine_exhausted", reason=repr(error))
            return self._failure(job, Unavailable("The worker's machine ran out of a resource."))
        except Unanalysable as error:
            return self._failure(job, self._blame(job, error, io))
        except (Stopping, Unavailable, SourceUnavailable, Crashed) as error:
            return self._failure(job, error)
        self.backoff.reset()
        return lambda job: job.set_size(audio.size_bytes).succeed(
            token, result.report, now=store_time(), memory_peak_bytes=result.memory_peak_bytes
        )

    @contextmanager
    def _open_audio(self, job: Job, io: CancellableIO) -> Iterator[OpenAudio]:
        """Open the audio in our storage or on the server of its source URL."""
        if job.source is None:
            stored = io.call(lambda: StoredAudio(job, audio=self.audio))
            with io.opened(lambda: cast(BinaryIO, stored)) as file:
                yield OpenAudio(file=file, verify=stored.verify)
        elif job.source.url is None:
            raise AudioMissing("The source URL of this job was already deleted. Submit the song again.")
        else:
            with self.fetch(job.source.url, on_tick=io.on_tick) as opened:
                yield opened

    def _blame(
        self, job: Job, error: Unanalysable, io: CancellableIO
    ) -> Unanalysable | Unavailable | Stopping:
        """Who is to blame for a failure: the file, or storage that sends other bytes than were uploaded."""
        if job.source is not None or isinstance(error, AudioMissing):
            return error
        try:
            io.call(lambda: verify_whole(job, audio=self.audio))
        except (AudioDamaged, Stopping) as other:
            return other
        except (Unavailable, AudioMissing, Canceled) as unknown:
            _log.warning("audio_not_verified", reason=str(unknown))
        return error

    def _failure(
        self, running: Job, error: Stopping | Unavailable | SourceUnavailable | Crashed | Unanalysable
    ) -> Callable[[Job], Job]:
        """The change of the job that records an attempt without a result."""
        now, delay_seconds, token = store_time, self.config.retry_seconds, running.attempts
        if isinstance(error, OutOfMemory) and running.attempts > _MAX_RELEASES:
            error = Crashed(error.message)
        if isinstance(error, AudioDamaged) and running.attempts > _MAX_RELEASES:
            damaged = Problem(code=AudioMissing.code, message=error.message, retryable=True)
            return lambda job: job.fail(token, damaged, now=now())
        if isinstance(error, Unavailable):
            self.backoff.add_trouble()
        elif not isinstance(error, Stopping):
            self.backoff.reset()
        match error:
            case Stopping():
                reason = "its worker is shutting down"
                return lambda job: job.release(token, reason, now=now(), delay_seconds=0)
            case Unavailable():
                return lambda job: job.release(token, error.message, now=now(), delay_seconds=delay_seconds)
            case SourceUnavailable():
                problem = Problem(code=error.code, message=error.message, retryable=True)
                return lambda job: job.postpone(
                    token,
                    problem,
                    now=now(),
                    delays_seconds=self.config.source_retry_seconds,
                    min_delay_seconds=error.retry_after_seconds,
                )
            case Crashed():
                return lambda job: job.crash(token, error.message, now=now(), delay_seconds=delay_seconds)
            case Unanalysable():
                retryable = isinstance(error, SourceRefused) and error.retryable
                problem = Problem(code=error.code, message=error.message, retryable=retryable)
                return lambda job: job.fail(token, problem, now=now())

    def _record(self, job_id: str, step: Callable[[Job], Job]) -> Job:
        """Record how the attempt ended, and retry through a short outage of the job store."""
        deadline = time.monotonic() + self.config.record_timeout_seconds
        while True:
            try:
                return self.jobs.change(job_id, step)
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)


def _is_of_the_machine(error: OSError | MemoryError) -> bool:
    """Whether this process, rather than the file, met a limit: of memory, descriptors, or processes."""
    return isinstance(error, MemoryError) or error.errno in _MACHINE_ERRNOS

"""One job from start to finish, over ports. Knows no Celery: a test calls it."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from shared.domain.job import Job, Problem
from shared.errors import (
    AudioMissing,
    Conflict,
    Crashed,
    LostLease,
    NotFound,
    SourceAway,
    SourceRefused,
    Unanalysable,
    Unavailable,
)
from shared.observability.logs import bind, get_logger
from shared.ports.audio import AudioStore
from shared.ports.jobs import JobStore
from worker.jobs.analysis_result import AnalysisResult
from worker.jobs.cancellable_io import CALL_SECONDS, CancellableIO
from worker.jobs.lease_keeper import Canceled, LeaseKeeper, Stopping

_log = get_logger(__name__)


class AnalyzeAudio(Protocol):
    """Audio in, report out, in a place where the audio can do no harm."""

    def __call__(
        self, audio: BinaryIO, *, start_seconds: float | None, on_tick: Callable[[], None]
    ) -> AnalysisResult:
        """`on_tick` is called about twice a second; what it raises stops the work and passes.

        Raises Unanalysable, Crashed, and what reading `audio` raises.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAudio:
    """Audio that is ready to be read."""

    file: BinaryIO
    size_bytes: int | None = None
    """Of a file that is not ours, where its server says so."""


class Fetch(Protocol):
    """An address in, a seekable file out."""

    def __call__(self, url: str, *, on_tick: Callable[[], None]) -> AbstractContextManager[OpenAudio]:
        """`on_tick` as in Listen. Raises SourceAway, Unanalysable; so does every read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptConfig:
    """How long things may take, in seconds."""

    lease_seconds: float
    retry_seconds: float
    keep_audio: bool
    source_pauses: Sequence[float] = ()
    """Before the server of a job's audio is asked again, where it was away."""
    give_up_seconds: float = 60
    """How long to try to write a result while the job store does not answer."""
    storage_seconds: float = CALL_SECONDS
    """How long to wait for our own storage to open or read the audio."""


def analyze(
    job_id: str,
    *,
    jobs: JobStore,
    audio: AudioStore,
    fetch: Fetch,
    listen: AnalyzeAudio,
    worker: str,
    terms: AttemptConfig,
    paused: Callable[[], frozenset[str]] = frozenset,
    stopping: Callable[[], bool] = lambda: False,
) -> Job | None:
    """Run one attempt of a job. None where there was nothing to do: a stale or repeated doorbell, or a
    paused queue; once it is resumed, the rescuer rings again.

    `stopping` is asked all the time: once it is true, the job is handed back unfinished.

    Raises:
        Unavailable: the job store is away; the rescuer will find the job.
    """
    paused_queues = paused()

    def start(job: Job) -> Job:
        if job.queue in paused_queues:
            raise Conflict("The queue is paused.")
        return job.start(worker=worker, now=time.time(), lease_seconds=terms.lease_seconds)

    try:
        job = jobs.change(job_id, start)
    except (Conflict, NotFound) as nothing_to_do:
        _log.info("doorbell_ignored", job_id=job_id, why=nothing_to_do.message)
        return None
    if job.request_id is not None:
        bind(request_id=job.request_id)  # a doorbell of the rescuer does not know it
    if job.state.is_final:
        _log.warning("job_dead", job_id=job_id, attempts=job.attempts)
        return job
    _log.info("attempt_started", job_id=job_id, attempt=job.attempts)
    pulse = LeaseKeeper(job, jobs=jobs, lease_seconds=terms.lease_seconds, stopping=stopping)
    try:
        with CancellableIO(pulse, call_seconds=terms.storage_seconds) as aside:
            opened = _opened(job, audio=audio, fetch=fetch, aside=aside)
            step = _attempt(job, opened=opened, listen=listen, pulse=pulse, terms=terms)
            ended = _write(jobs, job_id, step, terms)
            _log.info("attempt_ended", job_id=job_id, attempt=job.attempts, state=ended.state)
            if ended.has_audio and ended.wants_no_audio and not terms.keep_audio:
                discard_audio(ended, jobs=jobs, audio=audio)
            return ended
    except (LostLease, NotFound):
        _log.warning("lease_lost", job_id=job_id, attempt=job.attempts)
        return None


def discard_audio(job: Job, *, jobs: JobStore, audio: AudioStore) -> None:
    """Delete audio that nobody needs again. Where that fails, the rescuer does it later."""
    try:
        audio.delete(job.id)
        jobs.change(job.id, Job.forget_audio)
    except (Unavailable, NotFound) as error:
        _log.warning("audio_not_deleted", job_id=job.id, why=error.message)


@contextmanager
def _opened(job: Job, *, audio: AudioStore, fetch: Fetch, aside: CancellableIO) -> Iterator[OpenAudio]:
    """The audio, from our storage or from somebody else's server."""
    if job.source is None:
        with aside.opened(lambda: audio.open(job.id)) as file:
            yield OpenAudio(file=file)
    elif job.source.url is None:
        raise AudioMissing("The address of this job was forgotten.")
    else:
        with fetch(job.source.url, on_tick=aside.on_tick) as opened:
            yield opened


def _attempt(
    job: Job,
    *,
    opened: AbstractContextManager[OpenAudio],
    listen: AnalyzeAudio,
    pulse: LeaseKeeper,
    terms: AttemptConfig,
) -> Callable[[Job], Job]:
    """Do the work; the answer is the step that records how it ended."""
    token = job.attempts

    def now() -> float:
        return time.time()

    try:
        with opened as audio:
            heard = listen(audio.file, start_seconds=job.start_seconds, on_tick=pulse)
    except Canceled:
        return lambda job: job.confirm_cancel(token, now=now())
    except Stopping:
        return lambda job: job.hand_back(token, "its worker was told to stop", now=now(), delay_seconds=0)
    except Unavailable as error:
        why = error.message
        return lambda job: job.hand_back(token, why, now=now(), delay_seconds=terms.retry_seconds)
    except SourceAway as error:
        problem = Problem(code=error.code, message=error.message, retryable=True)
        least = error.retry_after_seconds
        return lambda job: job.postpone(
            token, problem, now=now(), pauses=terms.source_pauses, least_seconds=least
        )
    except Crashed as error:
        why = error.message
        return lambda job: job.crash(token, why, now=now(), delay_seconds=terms.retry_seconds)
    except Unanalysable as error:
        retryable = isinstance(error, SourceRefused) and error.retryable
        problem = Problem(code=error.code, message=error.message, retryable=retryable)
        return lambda job: job.fail(token, problem, now=now())
    return lambda job: job.know_size(audio.size_bytes).succeed(
        token, heard.report, now=now(), memory_peak_bytes=heard.memory_peak_bytes
    )


def _write(jobs: JobStore, job_id: str, step: Callable[[Job], Job], terms: AttemptConfig) -> Job:
    """Record how the attempt ended, through a short outage of the store."""
    deadline = time.monotonic() + terms.give_up_seconds
    while True:
        try:
            return jobs.change(job_id, step)
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)

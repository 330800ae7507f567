"""Jobs whose audio somebody else's server has. The address is judged and recorded here, and never called."""

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from api.access.authentication import Caller
from api.access.upload_quota import QuotaReservation
from api.config import CheckUrl
from api.uploads.filenames import clean_filename
from api.uploads.idempotency import IdempotentRequest, fingerprint
from api.uploads.service import LATEST_START_SECONDS, QUEUE, QueueName, UploadService, Wish, accepted
from api.webhooks.callback import CALLBACK_URL, EVENTS, CallbackWish
from shared.domain.job import AudioInput, Job
from shared.domain.job_state import JobState
from shared.domain.source import Source
from shared.errors import AddressRefused, BadRequest, Conflict, IdempotencyKeyReused, Unreachable
from shared.observability.logs import bind_log_context, get_logger
from shared.outbound.address_rules import MAX_URL_LENGTH

_log = get_logger(__name__)


Filename = Annotated[str | None, Field(max_length=1000, examples=["midnight.flac"])]
StartSeconds = Annotated[
    float | None,
    Field(ge=0, le=LATEST_START_SECONDS, strict=True, description="Where the window of 60 s begins."),
]
SourceUrl = Annotated[
    str | None,
    Field(
        max_length=MAX_URL_LENGTH,
        description="Where a worker is to fetch the audio: https, on a public address, without redirects.",
        examples=["https://files.example.com/midnight.flac"],
    ),
]
ONE_SOURCE: JsonDict = {"oneOf": [{"required": ["upload_id"]}, {"required": ["source_url"]}]}
"""Of a wish's schema."""


class JobWishes(BaseModel):
    """What a client may say of a new job, wherever its audio is."""

    model_config = ConfigDict(extra="forbid")

    filename: Filename = None
    start_seconds: StartSeconds = None
    # no enum: its schema would refer to definitions that this one leaves behind
    queue: Literal["interactive", "batch"] | None = Field(default=None, description=QUEUE)
    callback_url: str | None = Field(default=None, description=CALLBACK_URL)
    events: list[str] = Field(default=[], description=EVENTS)


class JobSource(JobWishes):
    """Audio that is somewhere else than in the request."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=ONE_SOURCE)

    upload_id: str | None = Field(
        default=None,
        max_length=128,
        description="Of POST /v1/uploads; a repetition does nothing more. What is said here beside it goes "
        "before what was said there.",
    )
    source_url: SourceUrl = None

    def beside(self, wish: Wish) -> "JobSource":
        """The same with what the query says, where the body says nothing. Raises BadRequest."""
        if (self.upload_id is None) == (self.source_url is None):
            raise BadRequest("Say where the audio is: either upload_id or source_url.")
        said = {
            "filename": wish.filename,
            "start_seconds": wish.start_seconds,
            "queue": wish.queue.value if wish.queue else None,
            "callback_url": wish.callback_url,
            "events": list(wish.events) or None,
        }
        return self.model_copy(
            update={
                name: value
                for name, value in said.items()
                if value is not None and name not in self.model_fields_set
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceUrlService:
    """Makes jobs of addresses."""

    submissions: UploadService
    check_url: CheckUrl = field(repr=False)
    counts_as_bytes: int
    """What one address takes of its caller's bytes a day: nobody knows yet what it will be."""

    async def submit(
        self, request: Request, caller: Caller, wish: JobSource, raw: bytes, share: QuotaReservation
    ) -> Response:
        """Record a job and tell the workers. Raises AddressRefused, BadRequest, LimitReached."""
        async with self.submissions.idempotency.once(request, caller) as once:
            whole = fingerprint(once.head, raw)
            if once.answered:
                return once.replay(whole)
            bind_log_context(job_id=once.subject)
            job = await run_in_threadpool(self._record, once, wish, caller, share)
            answer = await once.answer(whole, accepted(job))
        await run_in_threadpool(self.submissions.enqueue, job)
        _log.info("job_accepted", source=job.source.server if job.source else None)
        return answer

    def new_job(self, job_id: str, wish: JobSource, caller: Caller) -> Job:
        """The job that a wish asks for, not yet recorded. Blocking. Raises AddressRefused, BadRequest."""
        asked = CallbackWish.of({}, url=wish.callback_url, events=wish.events)
        source = Source.from_url(self._checked(wish.source_url or ""))
        job = self.submissions.new_job(
            job_id,
            input=AudioInput(filename=clean_filename(wish.filename)),
            start_seconds=wish.start_seconds,
            caller=caller,
            queue=QueueName(wish.queue or QueueName.INTERACTIVE),
        )
        callback = asked.grant(caller, check_url=self.submissions.check_url)
        return replace(job, source=source, has_audio=False, callback=callback)

    def _record(
        self, once: IdempotentRequest, wish: JobSource, caller: Caller, share: QuotaReservation
    ) -> Job:
        job = self.new_job(once.subject, wish, caller)
        share.admit(self.counts_as_bytes)
        try:
            self.submissions.jobs.add(job)
        except Conflict:  # recorded by a request of the same Idempotency-Key that was killed
            return self._same(self.submissions.jobs.get(job.id), job)
        share.count(job.id, self.counts_as_bytes)
        return job

    def _same(self, there: Job, job: Job) -> Job:
        then, now = there.source, job.source
        if then is None or now is None or (then.url or now.url, then.server) != (now.url, now.server):
            raise IdempotencyKeyReused(
                "This Idempotency-Key came with another request before; use a new one."
            )
        return there

    def _checked(self, url: str) -> str:
        try:
            return self.check_url(url)
        except (AddressRefused, Unreachable) as error:
            raise AddressRefused(f"Nothing can be fetched from this address. {error.message}") from error


def with_wishes(job: Job, wish: JobWishes, caller: Caller, *, check_url: CheckUrl) -> Job:
    """The job as a client wants it now that its upload is there. Blocking.

    Raises:
        AddressRefused, BadRequest: its callback can't be.
    """
    asked = CallbackWish.of({}, url=wish.callback_url, events=wish.events)
    callback = asked.grant(caller, check_url=check_url)
    filename = clean_filename(wish.filename)
    return replace(
        job,
        input=replace(job.input, filename=filename) if filename else job.input,
        start_seconds=job.start_seconds if wish.start_seconds is None else wish.start_seconds,
        queue=wish.queue or job.queue,
        callback=callback or job.callback,
    )


def as_wished(job: Job, wanted: Job) -> Job:
    """The job with the wishes of another rendering of it, unless it is on its way already."""
    if job.state is not JobState.AWAITING_UPLOAD:
        return job
    return replace(
        job,
        input=wanted.input,
        start_seconds=wanted.start_seconds,
        queue=wanted.queue,
        callback=wanted.callback,
    )


def same_wishes(job: Job, wanted: Job) -> bool:
    """Whether a job is what is wanted, but for the secret of its callback."""
    return _wishes(job) == _wishes(wanted)


def _wishes(job: Job) -> tuple[object, ...]:
    told = (job.callback.url, job.callback.events) if job.callback else None
    return job.input.filename, job.start_seconds, job.queue, told

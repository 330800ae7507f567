"""What a client may ask of a new job. Query, form, JSON, tus metadata and batch items are all parsed here."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from api.uploads.filenames import clean_filename
from api.webhooks.callback import CALLBACK_URL, EVENTS
from shared.domain.job import Job
from shared.domain.job_fields import Callback
from shared.errors import BadRequest
from shared.outbound.address_rules import MAX_URL_LENGTH

MAX_START_SECONDS = 24 * 3600
QUEUE = "`interactive`: a person waits for the result. `batch`: runs when no interactive job waits."
DEFAULT_QUEUE = "interactive"


def _parse_start(value: object, parse: ValidatorFunctionWrapHandler, info: ValidationInfo) -> float | None:
    """A number in JSON must be a JSON number; elsewhere all values are text."""
    try:
        if isinstance(value, bool) or (isinstance(value, str) and info.mode == "json"):
            raise ValueError
        parsed: float | None = parse(value)
    except ValueError:
        raise PydanticCustomError(
            "start_seconds", "must be a number from 0 to {most}", {"most": MAX_START_SECONDS}
        ) from None
    return parsed


def _split_events(events: list[str]) -> list[str]:
    return [name.strip() for name in ",".join(events).split(",") if name.strip()]


def _clean_name(value: object) -> object:
    return clean_filename(value) if isinstance(value, str) else value


Filename = Annotated[
    str | None,
    Field(description="Long names are cut to 200 characters.", examples=["midnight.flac"]),
    BeforeValidator(_clean_name),
]
StartSeconds = Annotated[
    float | None,
    Field(ge=0, le=MAX_START_SECONDS, allow_inf_nan=False, description="Where the 60-second window begins."),
    WrapValidator(_parse_start),
]
QueueName = Literal["interactive", "batch"]
CallbackUrl = Annotated[
    str | None, Field(description=CALLBACK_URL), AfterValidator(lambda url: (url or "").strip() or None)
]
Events = Annotated[list[str], AfterValidator(_split_events)]


class JobOptions(BaseModel):
    """What a client may ask of a new job, wherever its audio is. None: not given."""

    model_config = ConfigDict(extra="forbid")

    filename: Filename = None
    start_seconds: StartSeconds = None
    queue: Annotated[QueueName | None, Field(description=QUEUE)] = None
    callback_url: CallbackUrl = None
    events: Annotated[Events, Field(description=EVENTS)] = []

    @classmethod
    def from_text(cls, fields: Mapping[str, str]) -> Self:
        """Parse the fields of a form or the metadata of a tus upload. Ignores blank and unknown ones.

        Raises:
            BadRequest: a value is invalid.
        """
        given = {name: text for name in cls.model_fields if (text := fields.get(name, "").strip())}
        events = [given.pop("events")] if "events" in given else []
        try:
            return cls.model_validate({**given, "events": events})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise BadRequest(f"{first['loc'][0]}: {first['msg']}.") from error

    def over(self, defaults: "JobOptions") -> Self:
        """Take from *defaults* what is not given here."""
        missing = [name for name in JobOptions.model_fields if getattr(self, name) in (None, [])]
        return self.model_copy(update={name: getattr(defaults, name) for name in missing})

    def apply_to(self, job: Job, callback: Callback | None) -> Job:
        """Return the job with the given options in place of its own."""
        return replace(
            job,
            input=replace(job.input, filename=self.filename or job.input.filename),
            start_seconds=job.start_seconds if self.start_seconds is None else self.start_seconds,
            queue=self.queue or job.queue,
            callback=callback or job.callback,
        )


class QueryOptions(JobOptions):
    """The same in a query, which may have other parameters."""

    model_config = ConfigDict(extra="ignore")


SOURCE_URL = Field(
    max_length=MAX_URL_LENGTH,
    description="Where a worker fetches the audio: https, a public address, no redirects.",
    examples=["https://files.example.com/midnight.flac"],
)
UPLOAD_ID = Field(max_length=128, description="The `upload_id` of POST /v1/uploads.")


class AudioSource(BaseModel):
    """Audio that is not in the request: exactly one of the two fields."""

    model_config = ConfigDict(extra="forbid")

    upload_id: Annotated[str | None, UPLOAD_ID] = None
    source_url: Annotated[str | None, SOURCE_URL] = None

    def require_one_source(self) -> None:
        """Raise BadRequest unless exactly one source is given."""
        if (self.upload_id is None) == (self.source_url is None):
            raise BadRequest("Send exactly one of upload_id and source_url.")


class JobSource(JobOptions, AudioSource):
    """A job whose audio is not in the request."""


class JobFromUrl(JobOptions):
    """A job whose audio a worker fetches."""

    source_url: Annotated[str, SOURCE_URL]


class JobFromUpload(JobOptions):
    """A job of an upload that is complete."""

    upload_id: Annotated[str, UPLOAD_ID]

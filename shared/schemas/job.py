"""A job as others see it: the API's answers, its live events and the webhooks show this one rendering."""

from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from shared.domain.job import Job
from shared.domain.job_state import JobState, StateTransition
from shared.domain.report import Report

Timestamp = Annotated[datetime, Field(examples=["2026-11-22T00:03:12.501Z"])]


class View(BaseModel):
    """Common to all views."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class InputView(View):
    """What was uploaded, or is fetched."""

    filename: str | None = Field(examples=["midnight.mp3"])
    media_type: str | None = Field(examples=["audio/mpeg"])
    bytes: int | None = Field(examples=[20_971_520])
    sha256: str | None = Field(description="Lower-case hexadecimal.", examples=["9f86d081884c7d65…"])
    source: str | None = Field(
        default=None,
        description="The server that it is fetched from, without path and query; null for an upload.",
        examples=["https://files.example.com"],
    )


class SpectrumView(View):
    """A log-frequency spectrum of at most 512 points, from `low_hz` to `high_hz`."""

    low_hz: float
    high_hz: float
    levels_db: list[float] = Field(description="Below the strongest point: 0 or negative.")


class AudioView(View):
    """What was listened to, and what it cost."""

    container: str = Field(examples=["MP3"])
    codec: str = Field(examples=["MPEG_LAYER_III"])
    sample_rate: int = Field(description="Hz, as stored in the file.", examples=[44_100])
    channels: int = Field(examples=[2])
    start_seconds: float = Field(description="Where the analysed window begins.", examples=[0.0])
    analysed_seconds: float = Field(examples=[60.0])
    bytes_read: int = Field(description="Of the file, by the decoder.", examples=[1_441_792])
    decode_seconds: float = Field(examples=[0.42])
    analysis_seconds: float = Field(examples=[0.31])


class ReportView(View):
    """What the recording is tuned to. Cents are hundredths of an equal-tempered semitone."""

    verdict: str = Field(description="432, 440, other or inconclusive.", examples=["432"])
    verdict_probability: float | None = Field(
        ge=0,
        le=1,
        description="Probability that the verdict is right. Null if it is inconclusive.",
        examples=[0.96],
    )
    probabilities: dict[str, float] = Field(
        description="Probability of each pitch standard, in Hz, and of `other` (between standards, or no "
        "tuning). Empty if there is no tuning to name.",
        examples=[{"432": 0.96, "440": 0.0, "430": 0.01, "other": 0.03}],
    )
    accuracy_probability: float | None = Field(
        ge=0,
        le=1,
        description="Probability that a4_hz is within 3 cents of the truth.",
        examples=[0.97],
    )
    confidence: float = Field(
        ge=0,
        le=1,
        description="Old name of accuracy_probability. Not the probability of the verdict.",
        examples=[0.97],
    )
    reason: str | None = Field(description="Why the verdict is inconclusive.", examples=[None])
    remarks: list[str] = Field(description="What to know beside the verdict, as codes.", examples=[[]])
    temperament: str | None = Field(
        description="The unequal scale that the notes lie on; null for the equal one.", examples=[None]
    )
    a4_hz: float | None = Field(description="The estimated reference pitch.", examples=[432.04])
    uncertainty_cents: float | None = Field(
        description="About 9 in 10 true values lie this close.", examples=[0.6]
    )
    deviation_440_cents: float | None = Field(description="From A4 = 440 Hz.", examples=[-31.6])
    deviation_432_cents: float | None = Field(description="From A4 = 432 Hz.", examples=[0.2])
    nearest_standard_hz: float | None = Field(description="Modulo a semitone.", examples=[432])
    also_fits_hz: list[float] = Field(
        description="Readings a whole semitone away: tuning is known modulo a semitone.",
        examples=[[407.8, 457.7]],
    )
    drift_cents: list[float | None] = Field(
        description="Tuning of every 10 s against a4_hz.", examples=[[0.1, -0.2, 0.0, 0.1, 0.0, 0.0]]
    )
    dominant_hz: float | None = Field(description="The strongest spectral peak.", examples=[216.02])
    dominant_note: str | None = Field(description="Its nearest note in A4 = 440 Hz.", examples=["A3"])
    dominant_cents: float | None = Field(description="From that note.", examples=[-31.6])
    histogram: list[float] = Field(
        description="100 bins of 1 cent from -50 to +50 around the A4 = 440 Hz grid, adding up to 1.",
        examples=[[0.0, 0.01]],
    )
    spectrum: SpectrumView | None
    analysis_version: str = Field(examples=["1"])
    audio: AudioView

    @classmethod
    def of(cls, report: Report) -> Self:
        """The view of a report."""
        tuning = {name: getattr(report.tuning, name) for name in cls.model_fields if name != "audio"}
        return cls.model_validate({**tuning, "audio": report.audio})


class JobProblemView(View):
    """Why a job has no report."""

    code: str = Field(examples=["undecodable"])
    message: str = Field(examples=["No decoder finds audio in this file."])
    retryable: bool = Field(description="Whether another try could end differently.", examples=[False])


class EventView(View):
    """One line of a job's timeline."""

    at: Timestamp
    state: JobState
    attempt: int
    worker: str | None
    memory_peak_bytes: int | None
    why: str | None

    @classmethod
    def of(cls, event: StateTransition) -> Self:
        """The view of one line."""
        return cls(
            at=timestamp_of(event.at),
            state=event.state,
            attempt=event.attempt,
            worker=event.worker,
            memory_peak_bytes=event.memory_peak_bytes,
            why=event.why,
        )


class LinksView(View):
    """Where to go from here."""

    self: str = Field(examples=["/v1/jobs/kT3Zs0nq0mM2yq4bq7nHfA"])
    events: str = Field(
        description="Server-Sent Events.", examples=["/v1/jobs/kT3Zs0nq0mM2yq4bq7nHfA/events"]
    )
    page: str = Field(description="For people.", examples=["/jobs/kT3Zs0nq0mM2yq4bq7nHfA"])


class JobView(View):
    """A job: where it stands, and in the end its report or its problem."""

    id: str = Field(description="128 random bits.", examples=["kT3Zs0nq0mM2yq4bq7nHfA"])
    state: JobState
    created_at: Timestamp
    started_at: Timestamp | None
    finished_at: Timestamp | None
    expires_at: Timestamp | None = Field(
        description="When the job is forgotten; null while it waits or runs."
    )
    attempts: int = Field(examples=[1])
    queue_position: int | None = Field(
        default=None, description="Jobs before this one, while it is queued.", examples=[0]
    )
    queue_wait_seconds: float | None = Field(
        default=None,
        description="How long it will probably still wait; null where that can't be told.",
        examples=[0.4],
    )
    input: InputView
    report: ReportView | None
    problem: JobProblemView | None
    cached: bool = Field(
        description="Whether the report is that of an earlier analysis of the same bytes.", examples=[False]
    )
    batch_id: str | None = Field(
        description="The batch that it came with. Null also for a caller without an API key: there its id is "
        "the permission to the whole batch.",
        examples=[None],
    )
    timeline: list[EventView]
    links: LinksView

    @classmethod
    def of(
        cls, job: Job, *, queue_position: int | None = None, queue_wait_seconds: float | None = None
    ) -> Self:
        """The view of a job."""
        return cls(
            id=job.id,
            state=job.state,
            created_at=timestamp_of(job.created_at),
            started_at=optional_timestamp(job.started_at),
            finished_at=optional_timestamp(job.finished_at),
            expires_at=optional_timestamp(job.expires_at),
            attempts=job.attempts,
            queue_position=queue_position,
            queue_wait_seconds=queue_wait_seconds,
            input=InputView(
                filename=job.input.filename,
                media_type=job.input.media_type,
                bytes=job.input.size_bytes,
                sha256=job.input.sha256,
                source=job.source.server if job.source else None,
            ),
            report=ReportView.of(job.report) if job.report else None,
            problem=JobProblemView.model_validate(job.problem) if job.problem else None,
            cached=job.cached,
            batch_id=job.batch_id if job.owner is not None else None,
            timeline=[EventView.of(event) for event in job.timeline],
            links=LinksView(
                self=f"/v1/jobs/{job.id}", events=f"/v1/jobs/{job.id}/events", page=f"/jobs/{job.id}"
            ),
        )


def timestamp_of(at: float) -> datetime:
    """UNIX seconds as a time to show, to the millisecond."""
    return datetime.fromtimestamp(round(at, 3), UTC)


def optional_timestamp(at: float | None) -> datetime | None:
    """The same of what may not have happened yet."""
    return None if at is None else timestamp_of(at)

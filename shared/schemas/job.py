"""The public JSON of a job, in API responses, live events, and webhooks."""

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from shared.domain.job import Job
from shared.domain.job_state import JobState, StateTransition
from shared.domain.report import Report
from shared.root_path import public_path
from shared.schemas.timestamp import Timestamp, optional_timestamp, timestamp_of

Hertz = Annotated[float, AfterValidator(lambda hertz: round(hertz, 3))]
Cents = Annotated[float, AfterValidator(lambda cents: round(cents, 2))]


class View(BaseModel):
    """Base of all views."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class InputView(View):
    """The uploaded or fetched file."""

    filename: str | None = Field(examples=["midnight.mp3"])
    media_type: str | None = Field(examples=["audio/mpeg"])
    bytes: int | None = Field(examples=[20_971_520])
    sha256: str | None = Field(description="Lower-case hexadecimal.", examples=["9f86d081884c7d65…"])
    source: str | None = Field(
        default=None,
        description="The server of the source URL, without path and query; null for an upload.",
        examples=["https://files.example.com"],
    )


class SpectrumView(View):
    """A log-frequency spectrum of at most 512 points, from `low_hz` to `high_hz`."""

    low_hz: float
    high_hz: float
    levels_db: list[float] = Field(description="Below the strongest point: 0 or negative.")


class AudioTrackView(View):
    """The audio track that was analyzed."""

    index: int = Field(
        description="Counted from 1, in the order of the file, audio tracks only.", examples=[1]
    )
    count: int = Field(description="How many audio tracks the file has.", examples=[1])
    language: str | None = Field(description="As the file declares it.", examples=["eng"])
    title: str | None = Field(examples=["Stereo"])
    reason: str = Field(
        description="Why this track and not another: `only`, `default` (the file says so), `first`, or "
        "`first_audible` (the tracks before it are silent or can't be decoded).",
        examples=["only"],
    )


class AudioView(View):
    """What was analyzed, and what it cost."""

    container: str = Field(examples=["MP3"])
    codec: str = Field(examples=["MPEG_LAYER_III"])
    sample_rate: int = Field(description="Hz, as stored in the file.", examples=[44_100])
    channels: int = Field(examples=[2])
    start_seconds: float = Field(description="Where the analyzed window begins.", examples=[0.0])
    analysed_seconds: float = Field(examples=[60.0])
    bytes_read: int = Field(description="Bytes of the file that the decoder read.", examples=[1_441_792])
    decode_seconds: float = Field(examples=[0.42])
    analysis_seconds: float = Field(examples=[0.31])
    duration_seconds: float | None = Field(
        default=None,
        description="Of the whole recording; null if it is unknown, and in reports of earlier versions.",
        examples=[215.4],
    )
    duration_accuracy: str = Field(
        default="unknown",
        description="`exact` (counted), `estimated` (from the size and the bit rate), or `unknown`.",
        examples=["exact"],
    )
    track: AudioTrackView | None = Field(
        default=None, description="The track that was analyzed; null in reports of earlier versions."
    )


class ReportView(View):
    """The tuning of a recording. 100 cents are an equal-tempered semitone."""

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
    remarks: list[str] = Field(description="Further findings, as codes.", examples=[[]])
    temperament: str | None = Field(
        description="The unequal temperament of the notes; null for equal temperament.", examples=[None]
    )
    a4_hz: Hertz | None = Field(description="The estimated reference pitch.", examples=[432.04])
    uncertainty_cents: Cents | None = Field(
        description="About 9 in 10 true values are this close.", examples=[0.6]
    )
    deviation_440_cents: Cents | None = Field(description="From A4 = 440 Hz.", examples=[-31.6])
    deviation_432_cents: Cents | None = Field(description="From A4 = 432 Hz.", examples=[0.2])
    nearest_standard_hz: Hertz | None = Field(description="Modulo a semitone.", examples=[432])
    also_fits_hz: list[Hertz] = Field(
        description="The same tuning read a semitone higher or lower: tuning is known modulo a semitone.",
        examples=[[407.8, 457.7]],
    )
    drift_cents: list[Cents | None] = Field(
        description="Tuning of every 10 s relative to a4_hz.", examples=[[0.1, -0.2, 0.0, 0.1, 0.0, 0.0]]
    )
    wow_rate_hz: float | None = Field(
        description="Rate of a periodic change of speed (a turntable's wow), which a4_hz excludes.",
        examples=[None],
    )
    wow_depth_cents: Cents | None = Field(description="Peak deviation of that change.", examples=[None])
    wow_cents: list[Cents] = Field(
        description="The speed over the first 10 s, 10 times a second; empty without wow.", examples=[[]]
    )
    dominant_hz: Hertz | None = Field(description="The strongest spectral peak.", examples=[216.02])
    dominant_note: str | None = Field(description="Its nearest note in A4 = 440 Hz.", examples=["A3"])
    dominant_cents: Cents | None = Field(description="From that note.", examples=[-31.6])
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
    retryable: bool = Field(description="Whether a retry could succeed.", examples=[False])


class EventView(View):
    """One state change in a job's timeline."""

    at: Timestamp
    state: JobState
    attempt: int
    worker: str | None
    memory_peak_bytes: int | None
    why: str | None

    @classmethod
    def of(cls, event: StateTransition) -> Self:
        """The view of one state change."""
        return cls(
            at=timestamp_of(event.at),
            state=event.state,
            attempt=event.attempt,
            worker=event.worker,
            memory_peak_bytes=event.memory_peak_bytes,
            why=event.why,
        )


class LinksView(View):
    """Related URLs."""

    self: str = Field(examples=["/v1/jobs/kT3Zs0nq0mM2yq4bq7nHfA"])
    events: str = Field(
        description="Server-Sent Events.", examples=["/v1/jobs/kT3Zs0nq0mM2yq4bq7nHfA/events"]
    )
    page: str = Field(description="For people.", examples=["/jobs/kT3Zs0nq0mM2yq4bq7nHfA"])


class JobView(View):
    """A job: its state, and in the end its report or its problem."""

    id: str = Field(description="128 random bits.", examples=["kT3Zs0nq0mM2yq4bq7nHfA"])
    state: JobState
    created_at: Timestamp
    started_at: Timestamp | None
    finished_at: Timestamp | None
    expires_at: Timestamp | None = Field(
        description="When the job is deleted; null while it is queued or running."
    )
    attempts: int = Field(examples=[1])
    queue_position: int | None = Field(
        default=None, description="Jobs before this one, while it is queued.", examples=[0]
    )
    queue_wait_seconds: float | None = Field(
        default=None,
        description="The estimated wait; null if it is unknown.",
        examples=[0.4],
    )
    input: InputView
    report: ReportView | None
    problem: JobProblemView | None
    cached: bool = Field(
        description="Whether the report is from an earlier analysis of the same bytes.", examples=[False]
    )
    batch_id: str | None = Field(
        description="The job's batch. Null without an API key, because the id is the permission to the whole "
        "batch.",
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
                self=public_path(f"/v1/jobs/{job.id}"),
                events=public_path(f"/v1/jobs/{job.id}/events"),
                page=public_path(f"/jobs/{job.id}"),
            ),
        )

    def without_pictures(self) -> Self:
        """Return the view with an empty histogram and no spectrum: they are most of its bytes."""
        if self.report is None:
            return self
        report = self.report.model_copy(update={"histogram": [], "spectrum": None})
        return self.model_copy(update={"report": report})

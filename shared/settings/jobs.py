"""How jobs run, and how long they are kept."""

from typing import Self

from pydantic import Field, model_validator

from shared.settings.base import MIB
from shared.settings.outbound import OutboundSettings


class JobSettings(OutboundSettings):
    """Jobs, workers, and the rescuer."""

    window_seconds: float = Field(60, gt=0, le=600, description="How much audio a job analyzes, seconds.")
    job_timeout_seconds: float = Field(60, gt=0, description="Longest duration of one attempt, seconds.")
    job_memory_bytes: int = Field(
        200 * MIB, ge=64 * MIB, description="Memory of one attempt, on top of the worker's own, bytes."
    )
    job_attempts: int = Field(3, ge=1, description="How often a job is started before it is dead.")
    job_retry_delay_seconds: float = Field(
        5,
        ge=0,
        description="Delay before the next attempt, seconds. Longer, at random, after a worker died.",
    )
    job_retention_seconds: float = Field(
        24 * 3600, gt=0, description="How long a job is kept after it ends, seconds."
    )
    keep_audio: bool = Field(False, description="Keep the audio of finished jobs until they expire.")
    reuse_reports: bool = Field(
        True,
        description="Answer an upload of the same bytes from the report of the caller's earlier job.",
    )
    interactive_latency_warning_seconds: float = Field(
        60, gt=0, description="The dashboard warns if an interactive job waits longer, seconds."
    )
    batch_latency_warning_seconds: float = Field(
        3600, gt=0, description="The dashboard warns if a batch job waits longer, seconds."
    )
    worker_memory_bytes: int = Field(
        140 * MIB, gt=0, description="Memory of a worker without jobs, bytes. Limits its concurrency."
    )
    worker_jobs_per_child: int = Field(200, ge=1, description="Jobs after which a child process is replaced.")
    worker_stall_timeout_seconds: float = Field(
        150, gt=0, description="A worker that starts no waiting job for this long is unhealthy, seconds."
    )
    shutdown_grace_seconds: float = Field(
        3, ge=0, description="How long a stopping worker lets its jobs run before it releases them, seconds."
    )
    lease_seconds: float = Field(
        15, gt=0, description="A worker that is silent for this long loses its job, seconds."
    )
    rescuer_interval_seconds: float = Field(
        2, gt=0, description="Pause between two rounds of the rescuer, seconds."
    )
    orphan_seconds: float = Field(
        6 * 3600, gt=0, description="Age at which audio without a job or an upload is deleted, seconds."
    )
    orphan_max_share: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Largest share of all audio that one sweep may delete as orphaned. Above it, nothing is "
        "deleted and an alert fires.",
    )

    @model_validator(mode="after")
    def _timeouts_fit_together(self) -> Self:
        if self.lease_seconds < 2 * self.rescuer_interval_seconds:
            raise ValueError(
                "KAMMERTON_LEASE_SECONDS must be at least twice KAMMERTON_RESCUER_INTERVAL_SECONDS"
            )
        if self.worker_stall_timeout_seconds <= self.job_timeout_seconds + self.source_timeout_seconds:
            raise ValueError(
                "KAMMERTON_WORKER_STALL_TIMEOUT_SECONDS must be more than KAMMERTON_JOB_TIMEOUT_SECONDS and "
                "KAMMERTON_SOURCE_TIMEOUT_SECONDS together"
            )
        return self

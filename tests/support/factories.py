"""Domain objects with everything filled in, for tests to vary."""

from typing import Any

from shared.domain.batch import Batch, BatchItem
from shared.domain.job import Job
from shared.domain.job_fields import AudioInput
from shared.domain.job_state import JobState, StateTransition
from shared.domain.report import (
    AudioFacts,
    AudioTrack,
    DurationAccuracy,
    Report,
    Spectrum,
    TuningReport,
    Verdict,
)

NAME_WORDS = (
    *("midnight", "blue", "pier", "rain", "autumn", "demo", "final", "take", "nocturne", "choir", "quartet"),
    *("live", "session", "memo"),
)


def make_job(job_id: str = "job-1", **changes: Any) -> Job:
    fields: dict[str, Any] = {
        "id": job_id,
        "state": JobState.QUEUED,
        "queue": "interactive",
        "created_at": 1.0,
        "queued_at": 1.0,
        "due_at": 0.0,
        "attempts_allowed": 3,
        "keep_seconds": 100.0,
        "input": AudioInput(filename="söng.mp3", media_type="audio/mpeg", size_bytes=5, sha256="ab" * 32),
        "timeline": (StateTransition(at=1.0, state=JobState.QUEUED, attempt=0),),
    }
    return Job(**fields | changes)


def make_batch(batch_id: str = "batch-1", *job_ids: str, **changes: Any) -> Batch:
    fields: dict[str, Any] = {
        "id": batch_id,
        "created_at": 1.0,
        "items": tuple(BatchItem(job_id=job_id) for job_id in job_ids or ("job-1", "job-2")),
        "keep_seconds": 100.0,
    }
    return Batch(**fields | changes)


def make_report(**changes: Any) -> Report:
    tuning: dict[str, Any] = {
        "verdict": Verdict.A432,
        "confidence": 0.97,
        "temperament": None,
        "a4_hz": 432.04,
        "uncertainty_cents": 0.6,
        "deviation_440_cents": -31.6,
        "deviation_432_cents": 0.2,
        "nearest_standard_hz": 432.0,
        "also_fits_hz": (407.8, 457.7),
        "drift_cents": (0.1, None, 0.0),
        "dominant_hz": 216.02,
        "dominant_note": "A3",
        "dominant_cents": -31.6,
        "histogram": (0.01,) * 100,
        "spectrum": Spectrum(low_hz=20.0, high_hz=20_000.0, levels_db=(-60.0, 0.0, -3.5)),
        "analysis_version": "test",
    }
    audio = AudioFacts(
        container="MP3",
        codec="MPEG_LAYER_III",
        sample_rate=44_100,
        channels=2,
        start_seconds=0.0,
        analysed_seconds=60.0,
        bytes_read=1_441_792,
        decode_seconds=0.4,
        analysis_seconds=0.3,
        window_seconds=60.0,
        duration_seconds=215.4,
        duration_accuracy=DurationAccuracy.EXACT,
        track=AudioTrack(index=1, count=1),
    )
    return Report(tuning=TuningReport(**tuning | changes), audio=audio)

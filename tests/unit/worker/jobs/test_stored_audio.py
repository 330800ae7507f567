"""Storage that lies: other bytes under a right status."""

import hashlib
import os
from collections.abc import Callable
from typing import Any, BinaryIO

import pytest

from shared.domain.job_fields import AudioInput
from shared.domain.job_state import JobState
from shared.errors import AudioDamaged, Unavailable, Undecodable
from tests.support.factories import make_job, make_report
from tests.support.fakes.jobs import MemoryAudioStore
from tests.unit.worker.jobs.test_run_attempt import Harness
from worker.jobs.analysis_result import AnalysisResult
from worker.jobs.stored_audio import StoredAudio

SONG = os.urandom(700_000)
GARBAGE = SONG[:-1] + bytes([SONG[-1] ^ 1])
UPLOADED = AudioInput(size_bytes=len(SONG), sha256=hashlib.sha256(SONG).hexdigest())


def stored(data: bytes) -> StoredAudio:
    audio = MemoryAudioStore()
    audio.objects["job-1"] = (data, 1.0)
    return StoredAudio(make_job(input=UPLOADED), audio=audio)


def read_all(audio: BinaryIO, *, start_seconds: float | None, on_tick: Callable[[], None]) -> AnalysisResult:
    while audio.read(65_536):
        pass
    return AnalysisResult(report=make_report(), memory_peak_bytes=None)


def fails(audio: BinaryIO, *, start_seconds: float | None, on_tick: Callable[[], None]) -> AnalysisResult:
    audio.read(16)
    raise Undecodable("No decoder finds audio.")


def harness_with(data: bytes, **changes: Any) -> Harness:
    harness = Harness(input=UPLOADED, attempts_allowed=1, **changes)
    harness.audio.objects["job-1"] = (data, 1.0)
    return harness


@pytest.mark.parametrize("data", [SONG, GARBAGE])
def test_all_bytes_in_any_pieces_are_verified(data: bytes) -> None:
    file = stored(data)
    for offset, size in [(0, 100), (50, 1000), (600_000, 10), (1000, 699_000), (0, 5)]:
        file.seek(offset)
        assert file.read(size) == data[offset : offset + size]
    if data is SONG:
        file.verify()
    else:
        with pytest.raises(AudioDamaged, match="other bytes"):
            file.verify()


def test_audio_that_was_read_in_part_is_not_judged() -> None:
    file = stored(GARBAGE)
    file.seek(10)
    assert len(file.read()) == len(GARBAGE) - 10
    file.verify()


def test_garbage_gets_no_report_and_its_job_is_released() -> None:
    harness = harness_with(GARBAGE)
    harness.run(read_all)
    assert (harness.job.state, harness.job.attempts < harness.job.attempts_allowed) == ("queued", True)
    assert "other bytes" in str(harness.job.timeline[-1].why)
    honest = harness_with(SONG)
    honest.run(read_all)
    assert honest.job.state is JobState.SUCCEEDED


def test_a_failure_is_not_the_files_while_storage_sends_other_bytes() -> None:
    harness = harness_with(GARBAGE)
    harness.run(fails)
    assert harness.job.state is JobState.QUEUED
    assert "job-1" in harness.audio.objects
    honest = harness_with(SONG)
    honest.run(fails)
    assert (honest.job.state, honest.job.problem and honest.job.problem.code) == ("failed", "undecodable")


def test_a_failure_stays_if_storage_cannot_be_asked() -> None:
    harness = harness_with(SONG)
    first = harness.audio.open

    def once(key: str) -> BinaryIO:
        harness.audio.open = away  # type: ignore[method-assign]
        return first(key)

    def away(key: str) -> BinaryIO:
        raise Unavailable("away")

    harness.audio.open = once  # type: ignore[method-assign]
    harness.run(fails)
    assert (harness.job.state, harness.job.problem and harness.job.problem.code) == ("failed", "undecodable")


def test_audio_that_stays_damaged_fails_in_the_end_and_can_be_retried() -> None:
    harness = harness_with(GARBAGE, attempts=10)
    harness.jobs.jobs["job-1"] = make_job(input=UPLOADED, attempts=10, attempts_allowed=11)
    harness.run(read_all)
    assert harness.job.state is JobState.FAILED
    assert harness.job.problem is not None
    assert (harness.job.problem.code, harness.job.problem.retryable) == ("audio_missing", True)
    assert "job-1" in harness.audio.objects

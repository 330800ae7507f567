from typing import Any

import pytest

from shared.domain.installation import Installation
from shared.domain.job_state import JobState
from shared.errors import Unavailable
from shared.ports.uploads import UploadInfo
from tests.support.factories import make_job
from tests.support.fakes.jobs import MemoryAudioStore, MemoryInstallationStore, MemoryJobStore
from tests.support.fakes.uploads import MemoryUploadRegistry
from worker.maintenance import orphan_sweeper
from worker.maintenance.orphan_sweeper import OrphanSweeper, SweepLimits

NOW = 100_000.0
OLD = NOW - 7 * 3600


class Harness:
    def __init__(self) -> None:
        self.jobs, self.audio, self.uploads = MemoryJobStore(), MemoryAudioStore(), MemoryUploadRegistry()
        self.installation = MemoryInstallationStore()
        self.failures: list[str] = []
        self.sweeper = OrphanSweeper(
            jobs=self.jobs,
            audio=self.audio,
            uploads=self.uploads,
            installation=self.installation,
            limits=SweepLimits(age_seconds=6 * 3600, max_share=0.2),
            count_failure=self.failures.append,
        )

    def store(self, *keys: str, at: float = OLD) -> None:
        for key in keys:
            self.audio.objects[key] = (b"x", at)


@pytest.fixture
def harness() -> Harness:
    return Harness()


def test_old_audio_and_uploads_without_a_job_are_deleted(harness: Harness) -> None:
    harness.store("orphan", "job-1", "job-1.remainder")
    harness.store("fresh", at=NOW - 5 * 3600)
    harness.audio.uploads = {"u1": ("orphan-upload", OLD), "u2": ("fresh-upload", NOW)}
    harness.jobs.add(make_job())
    assert harness.sweeper.run_once(now=NOW) == 2
    assert set(harness.audio.objects) == {"fresh", "job-1", "job-1.remainder"}
    assert set(harness.audio.uploads) == {"u2"}


def test_an_upload_that_a_job_waits_for_is_kept(harness: Harness) -> None:
    harness.jobs.add(make_job(state=JobState.AWAITING_UPLOAD, has_audio=False))
    harness.audio.uploads = {"u1": ("job-1", OLD)}
    harness.sweeper.run_once(now=NOW)
    assert set(harness.audio.uploads) == {"u1"}


def test_an_active_upload_is_kept_until_it_is_deregistered(harness: Harness) -> None:
    harness.audio.uploads = {"u1": ("slow-one", OLD)}
    harness.uploads.heartbeat([UploadInfo(id="slow-one", started_at=OLD, seen_at=NOW)])
    harness.sweeper.run_once(now=NOW)
    assert set(harness.audio.uploads) == {"u1"}
    harness.uploads.deregister("slow-one")
    harness.sweeper.run_once(now=NOW)
    assert harness.audio.uploads == {}


def test_a_store_that_came_back_empty_deletes_nothing(harness: Harness) -> None:
    harness.store(*(f"job-{number}" for number in range(5)))
    harness.sweeper.run_once(now=NOW - 7 * 3600)  # marks the bucket
    harness.installation.installation = Installation(id="installation-2", created_at=NOW)
    assert harness.sweeper.run_once(now=NOW) == 0
    assert len(harness.audio.objects) == 5
    assert harness.failures == ["sweep_refused"]


def test_objects_that_are_older_than_the_store_are_kept(harness: Harness) -> None:
    harness.store("older-than-the-store")
    harness.installation.installation = Installation(id="installation-1", created_at=OLD + 60)
    harness.store("orphan", at=OLD + 120)
    assert harness.sweeper.run_once(now=NOW) == 1
    assert set(harness.audio.objects) == {"older-than-the-store"}


def test_a_sweep_that_would_delete_too_large_a_share_deletes_nothing(harness: Harness) -> None:
    for number in range(100):
        harness.store(f"job-{number}")
        if number >= 30:
            harness.jobs.add(make_job(f"job-{number}"))
    assert harness.sweeper.run_once(now=NOW) == 0
    assert (len(harness.audio.objects), harness.failures) == (100, ["sweep_refused"])
    for number in range(12, 30):
        harness.jobs.add(make_job(f"job-{number}"))
    assert harness.sweeper.run_once(now=NOW) == 12


def test_a_record_of_a_newer_version_keeps_its_audio(harness: Harness) -> None:
    harness.store("job-1")
    harness.jobs.get_many = lambda job_ids: dict.fromkeys(job_ids)  # type: ignore[method-assign]
    assert harness.sweeper.run_once(now=NOW) == 0


def test_an_orphan_that_cannot_be_deleted_stops_no_other(harness: Harness) -> None:
    harness.store("a", "b", "c")
    discard = harness.audio.discard

    def refuse_one(stored: Any) -> None:
        if stored.key == "b":
            raise Unavailable("403")
        discard(stored)

    harness.audio.discard = refuse_one  # type: ignore[method-assign]
    assert harness.sweeper.run_once(now=NOW) == 2
    assert (set(harness.audio.objects), harness.failures) == ({"b"}, ["orphans"])


def test_one_sweep_keeps_only_so_many_orphans_in_memory(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphan_sweeper, "_MAX_DELETED", 3)
    harness.store(*(f"orphan-{number}" for number in range(7)))
    assert [harness.sweeper.run_once(now=NOW) for _ in range(4)] == [3, 3, 1, 0]
    assert harness.audio.objects == {}
    harness.store(*(f"orphan-{number}" for number in range(21)))
    assert harness.sweeper.run_once(now=NOW) == 0
    assert harness.failures == ["sweep_refused"], "all orphans count, not only those that are kept"


def test_jobs_are_read_in_pages(harness: Harness) -> None:
    sizes: list[int] = []
    get_many = harness.jobs.get_many
    for number in range(1200):
        harness.store(f"job-{number}")
        harness.jobs.add(make_job(f"job-{number}"))

    def counted(job_ids: Any) -> Any:
        sizes.append(len(job_ids))
        return get_many(job_ids)

    harness.jobs.get_many = counted  # type: ignore[method-assign]
    harness.sweeper.run_once(now=NOW)
    assert sizes == [500, 500, 200]

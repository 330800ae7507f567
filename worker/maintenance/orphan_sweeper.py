"""Deletes audio in storage that no job and no upload needs.

It runs next to the rescuer, in pages. When in doubt it deletes nothing: when the store and the bucket do not
belong together, an object is older than the store, or too large a share of all objects looks orphaned.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from shared.clock import store_time
from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.errors import InstallationMismatch, Unavailable
from shared.installation_check import check_installation
from shared.observability.logs import get_logger
from shared.ports.audio import AudioStore, StoredAudio
from shared.ports.installation import InstallationStore
from shared.ports.jobs import JobStore
from shared.ports.uploads import UploadRegistry

_log = get_logger(__name__)

_PAGE_SIZE = 500
_MIN_SUSPICIOUS = 20
"""So few orphans may be any share of all objects."""
_MAX_INTERVAL_SECONDS = 900.0
_MAX_DELETED = 20_000
"""Of one sweep. The next one deletes more. A list of all objects of a full bucket needs too much memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepLimits:
    """When an object counts as orphaned, and when a sweep is refused."""

    age_seconds: float
    """How long an object without a job stays in quarantine."""
    max_share: float
    """A sweep that would delete a larger share of all objects deletes nothing."""

    @property
    def interval_seconds(self) -> float:
        """The pause between two sweeps."""
        return max(1.0, min(self.age_seconds / 4, _MAX_INTERVAL_SECONDS))


@dataclass(slots=True, kw_only=True)
class OrphanSweeper:
    """Call `run_once` from time to time, or `run` in a thread of its own."""

    jobs: JobStore
    audio: AudioStore
    uploads: UploadRegistry
    installation: InstallationStore
    limits: SweepLimits
    count_failure: Callable[[str], None] = lambda _: None
    """Called with `orphans` for every failure, and with `sweep_refused` for every refused sweep."""

    def run(self, stop: threading.Event) -> None:
        """Sweep until *stop* is set. Failures are logged; the next sweep starts again."""
        while not stop.wait(self.limits.interval_seconds):
            try:
                self.run_once()
            except Unavailable as error:
                self.count_failure("orphans")
                _log.warning("orphan_sweep_interrupted", reason=error.message)
            except Exception:
                self.count_failure("orphans")
                _log.exception("orphan_sweep_failed")

    def run_once(self, *, now: float | None = None) -> int:
        """Find the orphans and delete them; return how many were deleted. Raises Unavailable."""
        now = store_time() if now is None else now
        try:
            created_at = check_installation(self.installation, self.audio).created_at
        except InstallationMismatch as error:
            self.count_failure("sweep_refused")
            _log.error("orphan_sweep_refused", reason=error.message)
            return 0
        # read before the jobs: an upload leaves this list only after its job is recorded
        active = {upload.id for upload in self.uploads.list_alive()}
        total, found = 0, 0
        orphans: list[StoredAudio] = []
        for page in _pages(self.audio.list_older_than(before=now - self.limits.age_seconds)):
            total += len(page)
            candidates = [one for one in page if _job_id(one) not in active and one.modified_at >= created_at]
            page_orphans = self._without_job(candidates)
            found += len(page_orphans)
            orphans += page_orphans[: _MAX_DELETED - len(orphans)]
        if found > max(_MIN_SUSPICIOUS, self.limits.max_share * total):
            self.count_failure("sweep_refused")
            _log.error("orphan_sweep_refused", reason="too many orphans", orphans=found, objects=total)
            return 0
        return sum(self._delete(orphan) for orphan in orphans)

    def _without_job(self, stored: Sequence[StoredAudio]) -> list[StoredAudio]:
        jobs = self.jobs.get_many(list(dict.fromkeys(_job_id(one) for one in stored)))
        return [one for one in stored if _job_id(one) not in jobs or not _is_needed(one, jobs[_job_id(one)])]

    def _delete(self, stored: StoredAudio) -> bool:
        try:
            self.audio.discard(stored)
        except Unavailable as error:
            self.count_failure("orphans")
            _log.warning("orphan_delete_failed", key=stored.key, reason=error.message)
            return False
        _log.info("orphan_deleted", key=stored.key, multipart=stored.multipart is not None)
        return True


def _job_id(stored: StoredAudio) -> str:
    return stored.key.partition(".")[0]  # the rest names a piece of an upload


def _is_needed(stored: StoredAudio, job: Job | None) -> bool:
    if job is None or not job.state.is_known:
        return True  # a newer version may need it
    return job.state is JobState.AWAITING_UPLOAD or (stored.multipart is None and job.has_audio)


def _pages(found: Iterable[StoredAudio]) -> Iterator[list[StoredAudio]]:
    iterator = iter(found)
    while page := list(islice(iterator, _PAGE_SIZE)):
        yield page

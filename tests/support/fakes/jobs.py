"""The outside world in memory. Each fake passes the contract suite of the real thing."""

import io
import json
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from shared.domain.api_key import ApiKey
from shared.domain.installation import Installation
from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.errors import AudioMissing, BadRequest, Conflict, NotFound
from shared.ports.access import Allowance, Quota
from shared.ports.audio import AudioUpload, StoredAudio
from shared.ports.jobs import Backlog, DueWork, JobPage, JobQuery, JobUpdate, StoreMemory
from shared.ports.workers import WorkerInfo


@dataclass
class MemoryAudioStore:
    part_bytes: int = 5 * 1024 * 1024
    objects: dict[str, tuple[bytes, float]] = field(default_factory=dict)
    uploads: dict[str, tuple[str, float]] = field(default_factory=dict)
    largest_part: int = 0
    installation: str | None = None

    def put(self, key: str, data: bytes | bytearray, *, media_type: str) -> None:
        self.objects[key] = (bytes(data), time.time())

    def start_upload(self, key: str, *, media_type: str) -> AudioUpload:
        return _MemoryUpload(self, key)

    def open(self, key: str) -> BinaryIO:
        if key not in self.objects:
            raise AudioMissing("The audio of this job is no longer in storage.")
        return io.BytesIO(self.objects[key][0])

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    def list_older_than(self, *, before: float) -> Iterable[StoredAudio]:
        for key, (_, at) in list(self.objects.items()):
            if at < before:
                yield StoredAudio(key=key, modified_at=at)
        for upload, (key, at) in list(self.uploads.items()):
            if at < before:
                yield StoredAudio(key=key, modified_at=at, multipart=upload)

    def discard(self, stored: StoredAudio) -> None:
        if stored.multipart is None:
            self.delete(stored.key)
        else:
            self.uploads.pop(stored.multipart, None)

    def check(self) -> None:
        pass

    def installation_id(self) -> str | None:
        return self.installation

    def set_installation_id(self, installation_id: str) -> None:
        self.installation = installation_id


@dataclass
class _MemoryUpload:
    store: MemoryAudioStore
    key: str
    parts: dict[int, bytes] = field(default_factory=dict)

    def write(self, part: bytes | bytearray, *, number: int) -> None:
        self.store.largest_part = max(self.store.largest_part, len(part))
        self.store.uploads[str(id(self))] = (self.key, time.time())
        self.parts[number] = bytes(part)

    def finish(self) -> None:
        self.store.uploads.pop(str(id(self)), None)
        data = b"".join(part for _, part in sorted(self.parts.items()))
        self.store.objects[self.key] = (data, time.time())

    def abort(self) -> None:
        self.store.uploads.pop(str(id(self)), None)
        self.store.objects.pop(self.key, None)


class MemoryJobStore:
    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.removed: dict[str, float] = {}
        self.used_memory = StoreMemory(used_bytes=10**6, limit_bytes=None)
        self.transitions: list[tuple[str, str]] = []
        self.changes: list[tuple[Job | None, Job]] = []
        self.observers: list[Callable[[Job | None, Job | None], None]] = []
        self.changed = threading.Condition(threading.RLock())
        self._lock = self.changed

    def add(self, job: Job) -> None:
        with self._lock:
            if job.id in self.jobs:
                raise Conflict("This job exists already.")
            self.jobs[job.id] = replace(job, version=1)
            self.noted(None, self.jobs[job.id])
            self._tell(job.id, job.state)

    def get(self, job_id: str) -> Job:
        try:
            return self.jobs[job_id]
        except KeyError:
            raise NotFound("The job does not exist. It may have expired.") from None

    def change(self, job_id: str, step: Callable[[Job], Job]) -> Job:
        with self._lock:
            old = self.get(job_id)
            new = step(old)
            if new != old:
                new = replace(new, version=old.version + 1)
            self.jobs[job_id] = new
            if new != old:
                self.noted(old, new)
            if new.state is not old.state or new.cancel_requested != old.cancel_requested:
                self._tell(job_id, new.state)
            return new

    def get_many(self, job_ids: Sequence[str]) -> Mapping[str, Job | None]:
        return {job_id: self.jobs[job_id] for job_id in job_ids if job_id in self.jobs}

    def remove(self, job_id: str) -> None:
        self.remove_if(job_id, lambda _: True)

    def remove_if(self, job_id: str, condition: Callable[[Job], bool]) -> Job | None:
        with self._lock:
            job = self.jobs.get(job_id)
            if job is None or not condition(job):
                return None
            del self.jobs[job_id]
            if job.has_audio or job.state is JobState.AWAITING_UPLOAD:
                self.removed[job_id] = job.created_at
            self._tell(job_id, "removed")
            for observe in self.observers:
                observe(job, None)
            return job

    def confirm_audio_deleted(self, job_id: str) -> None:
        self.removed.pop(job_id, None)

    def noted(self, old: Job | None, new: Job) -> None:
        self.changes.append((old, new))
        for observe in self.observers:
            observe(old, new)

    def page(self, query: JobQuery) -> JobPage:
        found = self._sorted(upwards=query.oldest_first)
        if query.cursor is not None:
            try:
                at, job_id = json.loads(query.cursor)
            except ValueError:
                raise BadRequest("The cursor is invalid. Start again without a cursor.") from None
            if query.before:
                return self._page_before(query, (at, job_id))
            found = _beyond(found, (at, job_id), upwards=query.oldest_first)
        found = [job for job in found if query.matches(job)]
        rest = found[query.limit :]
        page = tuple(replace(job, report=None) for job in found[: query.limit])
        previous = _cursor(page[0]) if page and query.cursor is not None else query.cursor
        return JobPage(jobs=page, cursor=_cursor(page[-1]) if rest else None, previous_cursor=previous)

    def _page_before(self, query: JobQuery, start: tuple[float, str]) -> JobPage:
        upwards = not query.oldest_first
        before = _beyond(self._sorted(upwards=upwards), start, upwards=upwards)
        found = [job for job in before if query.matches(job)]
        if len(found) <= query.limit:
            return self.page(replace(query, cursor=None, before=False))
        page = tuple(replace(job, report=None) for job in reversed(found[: query.limit]))
        return JobPage(jobs=page, cursor=_cursor(page[-1]), previous_cursor=_cursor(page[0]))

    def _sorted(self, *, upwards: bool) -> list[Job]:
        return sorted(self.jobs.values(), key=lambda job: (job.created_at, job.id), reverse=not upwards)

    def due_work(self, *, now: float, limit: int) -> DueWork:
        jobs = list(self.jobs.values())

        def first(chosen: list[tuple[float, str]]) -> tuple[str, ...]:
            return tuple(job_id for at, job_id in sorted(chosen) if at <= now)[:limit]

        return DueWork(
            lease_expired=first([(job.lease.until, job.id) for job in jobs if job.lease]),
            queued_due=tuple(
                job_id
                for queue in sorted({job.queue for job in jobs})
                for job_id in first(
                    [
                        (job.due_at or 0.0, job.id)
                        for job in jobs
                        if job.state is JobState.QUEUED and job.queue == queue
                    ]
                )
            ),
            audio_to_delete=first(
                [(job.finished_at or 0.0, job.id) for job in jobs if job.has_audio and job.audio_unneeded]
            ),
            expired=first([(job.expires_at, job.id) for job in jobs if job.expires_at is not None]),
            removed=first([(at, job_id) for job_id, at in self.removed.items()]),
        )

    def queue_position(self, job: Job) -> int | None:
        waiting = self._waiting(job.queue)
        return waiting.index(job.id) if job.id in waiting else None

    def backlog(self, queue: str) -> Backlog:
        waiting = self._waiting(queue)
        oldest = _waits_since(self.jobs[waiting[0]]) if waiting else None
        return Backlog(queue=queue, waiting=len(waiting), oldest_queued_at=oldest)

    def memory(self) -> StoreMemory:
        return self.used_memory

    def check(self) -> None:
        pass

    def _tell(self, job_id: str, state: str) -> None:
        self.transitions.append((job_id, state))
        self.changed.notify_all()

    def _waiting(self, queue: str) -> list[str]:
        jobs = [job for job in self.jobs.values() if job.state is JobState.QUEUED and job.queue == queue]
        return [job.id for job in sorted(jobs, key=lambda job: (_waits_since(job), job.id))]


def _waits_since(job: Job) -> float:
    return max(job.queued_at or job.created_at, job.due_at or 0.0)


@dataclass
class MemoryJobUpdateLog:
    store: MemoryJobStore

    def latest_cursor(self) -> str:
        return str(len(self.store.transitions))

    def read_after(self, cursor: str, *, wait_seconds: float) -> tuple[JobUpdate, ...]:
        known = int(cursor)
        with self.store.changed:
            self.store.changed.wait_for(lambda: len(self.store.transitions) > known, wait_seconds)
            new = self.store.transitions[known:]
        return tuple(
            JobUpdate(cursor=str(known + number), job_id=job_id, state=state)
            for number, (job_id, state) in enumerate(new, 1)
        )


@dataclass
class MemoryJobQueue:
    messages: dict[str, list[str]] = field(default_factory=dict)

    def enqueue(self, job_id: str, *, queue: str) -> None:
        self.messages.setdefault(queue, []).append(job_id)

    def enqueued_ids(self, queue: str) -> frozenset[str]:
        return frozenset(self.messages.get(queue, []))


@dataclass
class MemoryWorkerRegistry:
    workers: dict[str, WorkerInfo] = field(default_factory=dict)

    def heartbeat(self, worker: WorkerInfo) -> None:
        self.workers[worker.name] = worker

    def deregister(self, name: str) -> None:
        self.workers.pop(name, None)

    def list_alive(self) -> tuple[WorkerInfo, ...]:
        return tuple(self.workers.values())


@dataclass
class MemoryApiKeyStore:
    keys: dict[str, ApiKey] = field(default_factory=dict)

    def add(self, key: ApiKey) -> None:
        if key.id in self.keys:
            raise Conflict("This key exists already.")
        self.keys[key.id] = key

    def find(self, key_id: str) -> ApiKey | None:
        return self.keys.get(key_id)

    def list_all(self) -> tuple[ApiKey, ...]:
        return tuple(sorted(self.keys.values(), key=lambda key: (-key.created_at, key.id)))

    def mark_used(self, key_id: str, *, now: float) -> None:
        self.keys[key_id] = replace(self.keys[key_id], last_used_at=now)

    def revoke(self, key_id: str, *, now: float) -> ApiKey:
        if key_id not in self.keys:
            raise NotFound("There is no such key.")
        self.keys[key_id] = self.keys[key_id].revoke(now=now)
        return self.keys[key_id]


@dataclass
class MemoryRateLimiter:
    had: dict[tuple[str, str], list[tuple[float, int]]] = field(default_factory=dict)
    held: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)

    def consume(self, quota: Quota, subject: str) -> Allowance:
        before = self.peek(quota, subject)
        if before.allowed:
            self.charge(quota, subject, 1)
        return replace(self.peek(quota, subject), allowed=before.allowed)

    def charge(self, quota: Quota, subject: str, amount: int) -> None:
        self.had.setdefault((quota.name, subject), []).append((time.time(), amount))

    def peek(self, quota: Quota, subject: str) -> Allowance:
        since = time.time() - quota.window_seconds
        had = [(at, amount) for at, amount in self.had.get((quota.name, subject), []) if at > since]
        left = max(0, quota.limit - sum(amount for _, amount in had))
        reset = max(1, math.ceil(had[0][0] - since)) if had else quota.window_seconds
        return Allowance(allowed=left > 0, remaining=left, reset_seconds=reset)

    def acquire_slot(self, kind: str, subject: str, slot_id: str, *, limit: int, ttl_seconds: float) -> bool:
        held = self.held.setdefault((kind, subject), {})
        if slot_id not in held and len(self.list_slots(kind, subject)) >= limit:
            return False
        held[slot_id] = time.time() + ttl_seconds
        return True

    def list_slots(self, kind: str, subject: str) -> tuple[str, ...]:
        held = self.held.get((kind, subject), {})
        return tuple(sorted((place for place, until in held.items() if until > time.time()), key=held.get))  # type: ignore[arg-type]

    def release_slot(self, kind: str, subject: str, slot_id: str) -> None:
        self.held.get((kind, subject), {}).pop(slot_id, None)


@dataclass
class MemoryMetricsStore:
    fields: dict[str, float] = field(default_factory=dict)
    heard: dict[str, float] = field(default_factory=dict)

    def add(self, fields: Mapping[str, float], *, process: str, now: float) -> None:
        for name, amount in fields.items():
            self.fields[name] = self.fields.get(name, 0.0) + amount
        self.heard[process] = now

    def read(self) -> dict[str, float]:
        return dict(self.fields)

    def last_seen(self) -> dict[str, float]:
        return dict(self.heard)


@dataclass
class MemoryInstallationStore:
    installation: Installation = field(
        default_factory=lambda: Installation(id="installation-1", created_at=0.0)
    )

    def get_or_create(self) -> Installation:
        return self.installation


def _beyond(jobs: list[Job], start: tuple[float, str], *, upwards: bool) -> list[Job]:
    places = [(job, (job.created_at, job.id)) for job in jobs]
    return [job for job, place in places if (place > start if upwards else place < start)]


def _cursor(job: Job) -> str:
    return json.dumps([job.created_at, job.id])

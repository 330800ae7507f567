"""What operators need from outside, in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from shared.domain.history import Bucket, TimeRange, counters_of_change, make_bucket
from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.errors import BadRequest
from shared.ports.admin import AuditEntry, AuditPage, AuditQuery, BulkOperation
from shared.ports.jobs import JobQuery
from shared.ports.workers import WorkerCommand
from shared.redis.jobs.indexes import index_for, search_words
from tests.support.fakes.jobs import MemoryJobStore


@dataclass
class MemoryJobSearch:
    store: MemoryJobStore

    def count_by_state(self) -> Mapping[JobState, int]:
        jobs = list(self.store.jobs.values())
        return {state: sum(job.state is state for job in jobs) for state in JobState}

    def count(self, query: JobQuery) -> int | None:
        if not index_for(query)[1]:
            return None
        number, cursor = 0, None
        while True:
            page = self.store.page(_at(query, cursor))
            number += len(page.jobs)
            cursor = page.cursor
            if cursor is None:
                return number

    def search(self, text: str, *, limit: int) -> tuple[Job, ...]:
        text = text.strip()
        words = search_words(text)

        def named(job: Job) -> bool:
            names = search_words(job.input.filename or "")
            return bool(words) and all(any(name.startswith(word) for name in names) for word in words)

        found = [
            job
            for job in self.store.jobs.values()
            if text == job.id or (len(text) == 64 and text.lower() == job.input.sha256) or named(job)
        ]
        return tuple(sorted(found, key=lambda job: (job.created_at, job.id), reverse=True)[:limit])

    def scheduled(self, *, now: float, limit: int) -> tuple[Job, ...]:
        jobs = [job for job in self.store.jobs.values() if job.state is JobState.QUEUED]
        due = sorted((job.due_at or 0.0, job.id, job) for job in jobs if (job.due_at or 0.0) > now)
        return tuple(job for _, _, job in due[:limit])


def _at(query: JobQuery, cursor: str | None) -> JobQuery:
    return replace(query, cursor=cursor, limit=50)


@dataclass
class MemoryHistory:
    store: MemoryJobStore

    def read(self, time_range: TimeRange, *, now: float) -> tuple[Bucket, ...]:
        last = int(now // time_range.bucket_seconds) * time_range.bucket_seconds
        counters: dict[int, dict[str, int]] = {
            last - (time_range.buckets - 1 - number) * time_range.bucket_seconds: {}
            for number in range(time_range.buckets)
        }
        for old, new in self.store.changes:
            for at, name in counters_of_change(old, new):
                begins = int(at // time_range.bucket_seconds) * time_range.bucket_seconds
                if begins in counters:
                    counters[begins][name] = counters[begins].get(name, 0) + 1
        return tuple(make_bucket(float(at), found) for at, found in counters.items())


@dataclass
class MemoryWorkerControl:
    queues: set[str] = field(default_factory=set)
    told: dict[str, WorkerCommand] = field(default_factory=dict)

    def pause(self, queue: str) -> None:
        self.queues.add(queue)

    def resume(self, queue: str) -> None:
        self.queues.discard(queue)

    def paused(self) -> frozenset[str]:
        return frozenset(self.queues)

    def send_command(self, worker: str, command: WorkerCommand) -> None:
        self.told[worker] = command

    def clear_command(self, worker: str) -> None:
        self.told.pop(worker, None)

    def commands(self) -> Mapping[str, WorkerCommand]:
        return dict(self.told)


@dataclass
class MemoryAuditLog:
    entries: list[AuditEntry] = field(default_factory=list)

    def add(self, entry: AuditEntry) -> None:
        self.entries.append(entry)

    def page(self, query: AuditQuery) -> AuditPage:
        try:
            end = len(self.entries) if query.cursor is None else int(query.cursor)
        except ValueError:
            raise BadRequest("The cursor is invalid. Start again without a cursor.") from None
        found = [number for number in reversed(range(end)) if query.matches(self.entries[number])]
        page = found[: query.limit]
        more = len(found) > query.limit
        return AuditPage(
            entries=tuple(self.entries[number] for number in page), cursor=str(page[-1]) if more else None
        )


@dataclass
class MemoryDashboardStore:
    operations: dict[str, BulkOperation] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def save_operation(self, operation: BulkOperation, *, ttl_seconds: int) -> None:  # keeps all
        self.operations[operation.id] = operation

    def find_operation(self, operation_id: str) -> BulkOperation | None:
        return self.operations.get(operation_id)

    def acknowledge(self, warning: str, count: int) -> None:
        self.counts[warning] = count

    def acknowledged(self) -> Mapping[str, int]:
        return dict(self.counts)


@dataclass
class MemorySecretStore:
    kept: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)

    def get_or_create(self, name: str, value: str) -> str:
        return self.kept.setdefault(name, value)

    def count_attempt(self, name: str, *, window_seconds: float) -> int:
        self.attempts[name] = self.attempts.get(name, 0) + 1
        return self.attempts[name]

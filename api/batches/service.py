"""Creates, reads, cancels and deletes batches."""

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool

from api.access.authentication import Caller
from api.access.upload_quota import QuotaReservation
from api.batches.items import BatchItems
from api.batches.schemas import BatchDetailView, CreateBatch, accepted_batch
from api.jobs.service import JobActions
from api.jobs.wait_estimate import WaitEstimate
from api.uploads.idempotency import Idempotency, fingerprint, key_reused
from api.webhooks.callback import create_callback
from api.webhooks.service import WebhookService
from shared.clock import store_time
from shared.domain.batch import Batch, BatchItem, ItemState
from shared.domain.job import Job
from shared.domain.job_fields import Callback
from shared.domain.webhooks.events import ALL_EVENTS, EventType, parse_events
from shared.errors import Conflict, NotFound, Unavailable
from shared.observability.logs import get_logger
from shared.ports.batches import BatchStore, JobChange

_log = get_logger(__name__)

_MAX_TRIES = 3
_COMPLETED = (EventType.BATCH_COMPLETED,)
_parse_events = partial(parse_events, known=ALL_EVENTS, default=_COMPLETED)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchService:
    """Acts on batches. Everything but `create` is blocking."""

    batches: BatchStore
    items: BatchItems
    actions: JobActions
    webhooks: WebhookService
    wait_estimate: WaitEstimate
    idempotency: Idempotency
    keep_seconds: float

    async def create(
        self, request: Request, caller: Caller, new: CreateBatch, raw: bytes, quota: QuotaReservation
    ) -> Response:
        """Make jobs of all items, or of none. *raw*: the body.

        Raises:
            InvalidItem, LimitReached, AddressRefused, BadRequest.
        """
        whole = fingerprint(raw)

        async def create(batch_id: str) -> Response:
            existing = await run_in_threadpool(self._existing, batch_id, whole)
            if existing is not None:
                return accepted_batch(existing)
            batch, jobs = await self._record(batch_id, new, whole, caller, quota)
            await run_in_threadpool(self._enqueue, jobs)
            _log.info("batch_accepted", batch_id=batch.id, jobs=len(jobs))
            return accepted_batch(batch)

        return await self.idempotency.run(request, caller, raw, create)

    def view(self, batch_id: str, caller: Caller) -> tuple[BatchDetailView, float | None]:
        """Return a batch, and in how many seconds to ask again; None when it is done. Raises NotFound."""
        batch, live = self.batches.get_with_item_states(batch_id)
        caller.check_can_read(batch)
        view = BatchDetailView.with_deliveries(batch, live, self.webhooks.deliveries_of_batch(batch))
        if not batch.open_ids:
            return view, None
        queued = [job_id for job_id in batch.open_ids if live.get(job_id) is ItemState.QUEUED]
        return view, 1 + (self._wait_seconds(queued[-1]) if queued else 0)

    def cancel(self, batch_id: str, caller: Caller) -> None:
        """Cancel all jobs that are queued or running. Raises NotFound, or Conflict if there are none."""
        batch = self.batches.get(batch_id)
        caller.check_can_change(batch)
        if not batch.open_ids:
            raise Conflict("All jobs of this batch have finished.")
        for job_id in batch.open_ids:
            with suppress(Conflict, NotFound):  # it finished, or was deleted, in the meantime
                self.actions.cancel(job_id)

    def delete(self, batch_id: str, caller: Caller) -> None:
        """Delete a batch, its jobs, their audio and their webhooks. After a failure, call it again."""
        batch = self.batches.get(batch_id)
        caller.check_can_change(batch)
        self.batches.change(batch_id, Batch.mark_deleting)
        for item in batch.items:
            with suppress(NotFound):
                self.actions.delete(item.job_id)
        self.webhooks.deliveries.delete_all_about(batch_id)
        self.batches.remove(batch_id)

    def _existing(self, batch_id: str, whole: str) -> Batch | None:
        """Return what an earlier request with this key created. Raises IdempotencyKeyReused."""
        try:
            batch = self.batches.get(batch_id)
        except NotFound:
            return None
        if batch.fingerprint != whole:
            raise key_reused()
        return batch

    async def _record(
        self, batch_id: str, new: CreateBatch, whole: str, caller: Caller, quota: QuotaReservation
    ) -> tuple[Batch, list[Job]]:
        callback = await create_callback(
            new.callback_url, new.events, caller, self.webhooks.urls, _parse_events
        )
        from_urls = sum(item.source_url is not None for item in new.items)
        await run_in_threadpool(
            quota.admit,
            from_urls * self.items.source_urls.counts_as_bytes,
            jobs=from_urls,
            counted_jobs=len(new.items) - from_urls,
        )
        for tries_left in reversed(range(_MAX_TRIES)):
            steps = await self.items.steps(new, caller, batch_id=batch_id, callback=_for_jobs(callback))
            batch = Batch(
                id=batch_id,
                created_at=store_time(),
                items=tuple(BatchItem(job_id=job.id, filename=job.input.filename) for _, job in steps),
                keep_seconds=self.keep_seconds,
                owner=caller.key_id,
                name=_clean_name(new.name),
                callback=callback,
                fingerprint=whole,
            )
            try:
                await run_in_threadpool(self._create, batch, steps)
                break
            except Conflict:  # one of its uploads has changed: the next check names it
                if not tries_left:
                    raise
        await run_in_threadpool(self._count, steps, quota)
        return batch, [job for _, job in steps]

    def _create(self, batch: Batch, steps: list[JobChange]) -> None:
        try:
            self.batches.create(batch, steps)
        except Unavailable as error:
            try:
                self.batches.get(batch.id)  # only the reply may have been lost
            except (NotFound, Unavailable):
                raise error from None

    def _count(self, steps: list[JobChange], quota: QuotaReservation) -> None:
        for old, job in steps:
            quota.count(job.id, 0 if old else self.items.source_urls.counts_as_bytes)

    def _enqueue(self, jobs: list[Job]) -> None:
        """Enqueue jobs until the broker fails. The rescuer enqueues the rest."""
        try:
            for job in jobs:
                self.actions.queue.enqueue(job.id, queue=job.queue)
        except Unavailable as error:
            _log.warning("enqueue_failed", batch_id=jobs[0].batch_id, reason=error.message)

    def _wait_seconds(self, job_id: str) -> float:
        try:
            job = self.actions.jobs.get(job_id)
        except NotFound:
            return 0
        return self.wait_estimate.wait_seconds(job, self.actions.jobs.queue_position(job)) or 0


def _for_jobs(callback: Callback | None) -> Callback | None:
    """Return the callback with the events of jobs only, if there are any."""
    if callback is None:
        return None
    events = tuple(event for event in callback.events if event not in _COMPLETED)
    return replace(callback, events=events) if events else None


def _clean_name(name: str | None) -> str | None:
    plain = "".join(char if char.isprintable() else " " for char in name or "")
    return " ".join(plain.split()) or None

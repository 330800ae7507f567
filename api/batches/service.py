"""What people do to batches: make, watch, cancel, delete."""

import time
from contextlib import suppress
from dataclasses import dataclass, replace

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool

from api.access.authentication import Caller
from api.access.upload_quota import QuotaReservation
from api.batches.items import BatchItems
from api.batches.schemas import MOST_BYTES, BatchDetailView, NewBatch, accepted_batch
from api.http.request_body import read_json
from api.http.slow_clients import MinRateTimeout
from api.jobs.service import JobActions
from api.jobs.wait_estimate import WaitEstimate
from api.uploads.buffer_pool import BufferPool
from api.uploads.idempotency import IdempotentRequest, fingerprint
from api.webhooks.callback import CallbackWish
from api.webhooks.service import WebhookService
from shared.domain.batch import Batch, BatchItem, ItemState
from shared.domain.job import Callback, Job
from shared.domain.webhook import ALL_EVENTS, EventType
from shared.errors import Conflict, IdempotencyKeyReused, NotFound, Unavailable
from shared.observability.logs import get_logger
from shared.ports.batches import BatchStore, JobChange

_log = get_logger(__name__)

_TRIES = 3
_COMPLETED = (EventType.BATCH_COMPLETED,)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchService:
    """Every act but `create` blocks."""

    batches: BatchStore
    items: BatchItems
    acts: JobActions
    webhooks: WebhookService
    forecast: WaitEstimate

    async def create(self, request: Request, caller: Caller, share: QuotaReservation) -> Response:
        """Make jobs of all items, or of none.

        Raises InvalidItem, LimitReached, AddressRefused, BadRequest.
        """
        submissions = self.items.direct.submissions
        wish, raw = await read_batch(
            request,
            budget=submissions.budget,
            pace=submissions.pace(),
            wait_seconds=submissions.terms.upload_wait_seconds,
        )
        async with submissions.idempotency.once(request, caller) as once:
            whole = fingerprint(once.head, raw)
            if once.answered:
                return once.replay(whole)
            there = await run_in_threadpool(self._there, once, whole)
            if there is not None:
                return await once.answer(whole, accepted_batch(there))
            batch, jobs = await self._record(once.subject, wish, whole, caller, share)
            answer = await once.answer(whole, accepted_batch(batch))
        await run_in_threadpool(self._enqueue, jobs)
        _log.info("batch_accepted", batch_id=batch.id, jobs=len(jobs))
        return answer

    def view(self, batch_id: str, caller: Caller) -> tuple[BatchDetailView, float | None]:
        """How far it is, and after how many seconds to look again; None: it is done. Raises NotFound."""
        batch, live = self.batches.get_with_item_states(batch_id)
        caller.check_sees(batch)
        view = BatchDetailView.beside(batch, live, self.webhooks.of_batch(batch))
        if not batch.open_ids:
            return view, None
        waiting = [job_id for job_id in batch.open_ids if live.get(job_id) is ItemState.QUEUED]
        return view, 1 + (self._wait_seconds(waiting[-1]) if waiting else 0)

    def cancel(self, batch_id: str, caller: Caller) -> None:
        """Cancel all that waits or runs. Raises Conflict where nothing does, NotFound."""
        batch = self.batches.get(batch_id)
        caller.check_changes(batch)
        if not batch.open_ids:
            raise Conflict("All jobs of this batch have ended.")
        for job_id in batch.open_ids:
            with suppress(Conflict, NotFound):  # it ended, or was deleted, before its turn
                self.acts.cancel(job_id)

    def delete(self, batch_id: str, caller: Caller) -> None:
        """Forget it, its jobs, their audio and their webhooks. Broken off, it can be asked for again."""
        batch = self.batches.get(batch_id)
        caller.check_changes(batch)
        self.batches.change(batch_id, Batch.mark_deleting)
        for item in batch.items:
            with suppress(NotFound):
                self.acts.delete(item.job_id)
        self.webhooks.deliveries.delete_all_about(batch_id)
        self.batches.remove(batch_id)

    def _there(self, once: IdempotentRequest, whole: str) -> Batch | None:
        """What an earlier request of this key made before its process died. Raises IdempotencyKeyReused."""
        try:
            batch = self.batches.get(once.subject) if once.taken_over else None
        except NotFound:
            return None
        if batch is not None and batch.fingerprint != whole:
            raise IdempotencyKeyReused(
                "This Idempotency-Key came with another request before; use a new one."
            )
        return batch

    async def _record(
        self, batch_id: str, wish: NewBatch, whole: str, caller: Caller, share: QuotaReservation
    ) -> tuple[Batch, list[Job]]:
        callback = await run_in_threadpool(self._callback, wish, caller)
        addressed = sum(item.source_url is not None for item in wish.items)
        await run_in_threadpool(
            share.admit,
            addressed * self.items.addressed.counts_as_bytes,
            jobs=addressed,
            counted_jobs=len(wish.items) - addressed,
        )
        for tries_left in reversed(range(_TRIES)):
            steps = await self.items.steps(wish, caller, batch_id=batch_id, callback=_for_jobs(callback))
            batch = Batch(
                id=batch_id,
                created_at=time.time(),
                items=tuple(BatchItem(job_id=job.id, filename=job.input.filename) for _, job in steps),
                keep_seconds=self.items.direct.submissions.terms.keep_seconds,
                owner=caller.key_id,
                name=_cleaned(wish.name),
                callback=callback,
                fingerprint=whole,
            )
            try:
                await run_in_threadpool(self._create, batch, steps)
                break
            except Conflict:  # one of its uploads has changed since: judged again, it is named
                if not tries_left:
                    raise
        await run_in_threadpool(self._count, steps, share)
        return batch, [job for _, job in steps]

    def _create(self, batch: Batch, steps: list[JobChange]) -> None:
        try:
            self.batches.create(batch, steps)
        except Unavailable as error:
            try:
                self.batches.get(batch.id)  # the answer alone may have been lost
            except (NotFound, Unavailable):
                raise error from None

    def _count(self, steps: list[JobChange], share: QuotaReservation) -> None:
        for old, job in steps:
            share.count(job.id, 0 if old else self.items.addressed.counts_as_bytes)

    def _enqueue(self, jobs: list[Job]) -> None:
        """As far as the bell works: the rescuer rings for the rest."""
        try:
            for job in jobs:
                self.acts.queue.enqueue(job.id, queue=job.queue)
        except Unavailable as error:
            _log.warning("not_rung", batch_id=jobs[0].batch_id, why=error.message)

    def _callback(self, wish: NewBatch, caller: Caller) -> Callback | None:
        asked = CallbackWish.of({}, url=wish.callback_url, events=wish.events)
        check_url = self.webhooks.check_url
        return asked.grant(caller, check_url=check_url, known=ALL_EVENTS, default=_COMPLETED)

    def _wait_seconds(self, job_id: str) -> float:
        try:
            job = self.acts.jobs.get(job_id)
        except NotFound:
            return 0
        return self.forecast.wait_seconds(job, self.acts.jobs.queue_position(job)) or 0


async def read_batch(
    request: Request, *, budget: BufferPool, pace: MinRateTimeout, wait_seconds: float
) -> tuple[NewBatch, bytes]:
    """The wish, and the bytes that it came as: slow clients hold memory of the budget that uploads share.

    Raises BadRequest, TooLarge, RequestValidationError, UploadStalled, Overloaded.
    """
    hold = budget.hold(hurry=pace.hurry)
    try:
        await hold.grow(MOST_BYTES, wait_seconds=wait_seconds)
        return await read_json(request, NewBatch, pace=pace, most_bytes=MOST_BYTES)
    finally:
        hold.release()


def _for_jobs(callback: Callback | None) -> Callback | None:
    """What of it is for each job."""
    if callback is None:
        return None
    events = tuple(event for event in callback.events if event not in _COMPLETED)
    return replace(callback, events=events) if events else None


def _cleaned(name: str | None) -> str | None:
    plain = "".join(char if char.isprintable() else " " for char in name or "")
    return " ".join(plain.split()) or None

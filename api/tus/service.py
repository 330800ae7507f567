"""Uploads that go on where they broke off: what has arrived lies in storage, and storage is asked for it.

So memory and disk stay flat, and any API process goes on where another was killed.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from operator import methodcaller

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from api.access.authentication import Caller
from api.access.upload_quota import QuotaReservation
from api.http.request_body import received
from api.tus.append import Continuation
from api.tus.storage import StoredUpload, TusStorage
from api.uploads.body import require_audio, sniffed
from api.uploads.presigned import GRACE_SECONDS, submitted
from api.uploads.receiver import Receiver
from api.uploads.service import UploadService
from shared.domain.audio_format import SNIFF_BYTES
from shared.domain.job import AudioInput, Job
from shared.domain.job_state import JobState
from shared.errors import AudioMissing, Conflict, NotFound, TooLarge, Unavailable, UnsupportedMedia
from shared.observability.logs import bind_log_context, get_logger
from shared.ports.uploads import TusUpload, UploadInfo

_log = get_logger(__name__)

_EXTEND_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an upload is."""

    offset: int
    length: int
    metadata: str
    expires_at: float
    """UNIX seconds; when it will be removed if nothing comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TusService:
    """Creates, continues, and ends resumable uploads. Each is a job that awaits its upload."""

    submissions: UploadService
    arrivals: TusStorage
    seconds: float
    """How long to wait for more."""

    def create(
        self,
        job_id: str,
        *,
        input: AudioInput,
        start_seconds: float | None,
        metadata: str,
        caller: Caller,
        share: QuotaReservation,
    ) -> Progress:
        """Record a job that awaits its upload. Raises LimitReached, QueueFull."""
        share.admit(input.size_bytes or 0)
        expires_at = time.time() + self.seconds + GRACE_SECONDS
        job = self.submissions.new_job(
            job_id, input=input, start_seconds=start_seconds, caller=caller, expires_at=expires_at
        )
        with contextlib.suppress(Conflict):  # by a request of the same Idempotency-Key that was killed
            self.submissions.jobs.add(job)
        try:
            self.arrivals.store.get(job_id)
        except NotFound:
            self.arrivals.store.add(TusUpload(id=job_id, metadata=metadata, lock_owner=""))
        share.count(job_id, input.size_bytes or 0)
        return Progress(
            offset=0, length=input.size_bytes or 0, metadata=metadata, expires_at=expires_at - GRACE_SECONDS
        )

    def progress(self, job_id: str, caller: Caller) -> Progress:
        """How far it is; whole ones stay at their end. Raises NotFound."""
        job = self.submissions.jobs.get(job_id)
        caller.check_sees(job)
        if job.state is not JobState.AWAITING_UPLOAD:
            return _ended(job)
        arrived = self.arrivals.of(job, self.arrivals.store.get(job_id))
        if arrived.offset == arrived.length:
            self._finish(job_id)  # left undone by a process that died; no client would ask for it again
        return Progress(
            offset=arrived.offset,
            length=arrived.length,
            metadata=arrived.resumable.metadata,
            expires_at=(job.expires_at or 0.0) - GRACE_SECONDS,
        )

    def remove(self, job_id: str, caller: Caller) -> None:
        """Forget it and all that has arrived. Raises NotFound, Conflict once it is whole."""
        job = self.submissions.jobs.get(job_id)
        caller.check_changes(job)
        if job.state is not JobState.AWAITING_UPLOAD:
            raise Conflict("This upload is whole, and a job: delete the job instead.")
        self.arrivals.remove(job)

    async def append(self, request: Request, job_id: str, *, offset: int, caller: Caller) -> Progress:
        """Go on with the body of a request. What arrives stays, however the request ends.

        Nothing more for a whole upload is no error: its client did not get the last answer.

        Raises:
            NotFound: there is no such upload, or it was canceled.
            Conflict: it is not at that offset, or another request has taken it over.
            TooLarge: the body goes beyond the length that was declared.
            UnsupportedMedia: it is no sound; it is removed.
        """
        jobs = self.submissions.jobs
        holder = secrets.token_hex(8)
        before = await run_in_threadpool(self._take, job_id, holder, caller)
        whole = before.job.state is not JobState.AWAITING_UPLOAD
        if before.offset != offset:
            raise Conflict(f"The upload is at offset {before.offset}; go on from there.", code="wrong_offset")
        room = before.length - offset
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > room:
            raise _beyond(before.length)
        if whole:
            return _ended(before.job)
        pace = self.submissions.pace()
        now = time.time()
        info = UploadInfo(
            id=job_id,
            started_at=now,
            seen_at=now,
            received_bytes=offset,
            declared_bytes=before.length,
            owner=caller.key_id,
            filename=before.job.input.filename,
        )
        async with (
            Receiver(budget=self.submissions.budget, pace=pace, terms=self.submissions.terms) as receiver,
            self.submissions.in_flight.registered(info) as upload,
            self._kept(job_id),
        ):
            chunks = receiver.counted(
                _limited(received(request, pace), room, before.length),
                lambda arrived: upload.progress(offset + arrived),
            )
            try:
                if offset == 0:
                    head, chunks = await sniffed(chunks)
                    if len(head) == SNIFF_BYTES:  # of less, nobody can tell yet
                        require_audio(head)
                await Continuation(
                    before,
                    receiver,
                    arrivals=self.arrivals,
                    holder=holder,
                    parts_in_flight=self.submissions.terms.upload_parts_in_flight,
                ).write(chunks)
            except UnsupportedMedia:
                await run_in_threadpool(self.arrivals.remove, before.job)
                raise
        if offset + receiver.size_bytes == before.length:
            await run_in_threadpool(self._finish, job_id)
        job = await run_in_threadpool(jobs.get, job_id)
        return Progress(
            offset=offset + receiver.size_bytes,
            length=before.length,
            metadata=before.resumable.metadata,
            expires_at=(job.expires_at or 0.0) - GRACE_SECONDS,
        )

    def _take(self, job_id: str, holder: str, caller: Caller) -> StoredUpload:
        job = self.submissions.jobs.get(job_id)
        caller.check_changes(job)
        bind_log_context(job_id=job_id)
        if job.state is not JobState.AWAITING_UPLOAD:
            if job.queued_at is None:
                raise NotFound("This upload was canceled.")
            return StoredUpload.whole(job)
        return self.arrivals.of(job, self.arrivals.store.acquire(job_id, lock_owner=holder))

    def _finish(self, job_id: str) -> None:
        """All has arrived: let a worker have it. Once more after a crash, it does the rest."""
        jobs = self.submissions.jobs
        job = jobs.get(job_id)
        self.arrivals.join(job)
        try:
            arrived, head = self.arrivals.look(job)
        except AudioMissing:
            self.arrivals.remove(job)
            raise NotFound("What had arrived of this upload was removed; begin a new one.") from None
        if arrived != job.input.size_bytes:
            raise Conflict("Not all of the file has arrived; ask how far it is.", code="upload_unfinished")
        try:
            require_audio(head)
        except UnsupportedMedia:
            self.arrivals.remove(job)
            raise
        job = jobs.change(job_id, partial(submitted, now=time.time()))
        self.submissions.enqueue(job)
        _log.info("job_accepted", filename=job.input.filename, bytes=job.input.size_bytes)
        try:
            self.arrivals.forget(job_id)
        except Unavailable as error:
            _log.warning("tail_not_dropped", why=error.message)

    @asynccontextmanager
    async def _kept(self, job_id: str) -> AsyncIterator[None]:
        """Its time does not run out while bytes come."""
        extending = asyncio.create_task(self._extend(job_id))
        try:
            yield
        finally:
            extending.cancel()

    async def _extend(self, job_id: str) -> None:
        while True:
            later = methodcaller("await_until", time.time() + self.seconds + GRACE_SECONDS)
            with contextlib.suppress(Unavailable, NotFound):
                await run_in_threadpool(self.submissions.jobs.change, job_id, later)
            await asyncio.sleep(_EXTEND_SECONDS)


def _ended(job: Job) -> Progress:
    """Of an upload that takes no more: at its end."""
    length = job.input.size_bytes or 0
    return Progress(offset=length, length=length, metadata="", expires_at=job.expires_at or 0.0)


async def _limited(chunks: AsyncIterator[bytes], most: int, length: int) -> AsyncIterator[bytes]:
    """Raises TooLarge before a byte beyond the declared length."""
    async for chunk in chunks:
        most -= len(chunk)
        if most < 0:
            raise _beyond(length)
        yield chunk


def _beyond(length: int) -> TooLarge:
    return TooLarge(f"The upload was declared to have {length:,} bytes; there are more.", limit_bytes=length)

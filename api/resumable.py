"""Uploads that go on where they broke off: what has arrived lies in storage, and storage is asked for it.

Full parts are parts of an S3 upload; what is too short for one is an object of its own, the tail. So memory
and disk stay flat, and any API process goes on where another was killed.
"""

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from operator import methodcaller

import anyio
from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from api.access import Caller
from api.admission import Share
from api.body import looked_at, received, refuse_unless_sound
from api.direct import GRACE_SECONDS, submitted
from api.sender import PartSender, run
from api.submit import Submissions
from api.upload import Receiver
from shared.errors import AudioMissing, Conflict, NotFound, TooLarge, Unavailable, UnsupportedMedia
from shared.job import AudioInput, Job, JobState
from shared.logs import bind, get_logger
from shared.ports import AudioUpload
from shared.signature import SNIFF_BYTES
from shared.upload_ports import PartStore, Resumable, ResumableStore, Tail, UploadInfo

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
class _State:
    job: Job
    resumable: Resumable
    parts: int
    tail: Tail | None
    offset: int

    @property
    def length(self) -> int:
        return self.job.input.size_bytes or 0


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts of a started object, as an AudioUpload that is never aborted: it is to go on later."""

    store: PartStore
    key: str
    multipart: str

    def write(self, part: bytes | bytearray, *, number: int) -> None:
        self.store.write(self.key, part, multipart=self.multipart, number=number)

    def finish(self) -> None:
        raise NotImplementedError

    def abort(self) -> None:
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumableUploads:
    """Creates, continues, and ends resumable uploads. Each is a job that awaits its upload."""

    submissions: Submissions
    parts: PartStore
    store: ResumableStore
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
        share: Share,
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
            self.store.get(job_id)
        except NotFound:
            self.store.add(Resumable(id=job_id, metadata=metadata, holder=""))
        share.count(job_id, input.size_bytes or 0)
        return Progress(
            offset=0, length=input.size_bytes or 0, metadata=metadata, expires_at=expires_at - GRACE_SECONDS
        )

    def progress(self, job_id: str, caller: Caller) -> Progress:
        """How far it is; whole ones stay at their end. Raises NotFound."""
        job = self.submissions.jobs.get(job_id)
        caller.check_sees(job)
        length = job.input.size_bytes or 0
        if job.state is not JobState.AWAITING_UPLOAD:
            return Progress(offset=length, length=length, metadata="", expires_at=job.expires_at or 0.0)
        state = self._state(job, self.store.get(job_id))
        if state.offset == length:
            self._finish(job_id)  # left undone by a process that died; no client would ask for it again
        return Progress(
            offset=state.offset,
            length=length,
            metadata=state.resumable.metadata,
            expires_at=(job.expires_at or 0.0) - GRACE_SECONDS,
        )

    def remove(self, job_id: str, caller: Caller) -> None:
        """Forget it and all that has arrived. Raises NotFound, Conflict once it is whole."""
        job = self.submissions.jobs.get(job_id)
        caller.check_changes(job)
        if job.state is not JobState.AWAITING_UPLOAD:
            raise Conflict("This upload is whole, and a job: delete the job instead.")
        self._remove(job)

    async def append(self, request: Request, job_id: str, *, offset: int, caller: Caller) -> Progress:
        """Go on with the body of a request. What arrives stays, however the request ends.

        Raises:
            NotFound: there is no such upload, or it is whole.
            Conflict: it is not at that offset, or another request has taken it over.
            TooLarge: the body goes beyond the length that was declared.
            UnsupportedMedia: it is no sound; it is removed.
        """
        jobs = self.submissions.jobs
        holder = secrets.token_hex(8)
        state = await run_in_threadpool(self._take, job_id, holder, caller)
        if state.offset != offset:
            raise Conflict(f"The upload is at offset {state.offset}; go on from there.", code="wrong_offset")
        room = state.length - offset
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > room:
            raise _beyond(state.length)
        pace = self.submissions.pace()
        now = time.time()
        info = UploadInfo(
            id=job_id,
            started_at=now,
            seen_at=now,
            received_bytes=offset,
            declared_bytes=state.length,
            owner=caller.key_id,
            filename=state.job.input.filename,
        )
        async with (
            Receiver(budget=self.submissions.budget, pace=pace, terms=self.submissions.terms) as receiver,
            self.submissions.in_flight.registered(info) as upload,
            self._kept(job_id),
        ):
            chunks = receiver.counted(
                _limited(received(request, pace), room, state.length),
                lambda arrived: upload.progress(offset + arrived),
            )
            try:
                if offset == 0:
                    head, chunks = await looked_at(chunks)
                    if len(head) == SNIFF_BYTES:  # of less, nobody can tell yet
                        refuse_unless_sound(head)
                await _Writer(state, receiver, holder, self).write(chunks)
            except UnsupportedMedia:
                await run_in_threadpool(self._remove, state.job)
                raise
        if offset + receiver.size_bytes == state.length:
            await run_in_threadpool(self._finish, job_id)
        job = await run_in_threadpool(jobs.get, job_id)
        return Progress(
            offset=offset + receiver.size_bytes,
            length=state.length,
            metadata=state.resumable.metadata,
            expires_at=(job.expires_at or 0.0) - GRACE_SECONDS,
        )

    def _take(self, job_id: str, holder: str, caller: Caller) -> _State:
        job = self.submissions.jobs.get(job_id)
        caller.check_changes(job)
        bind(job_id=job_id)
        if job.state is not JobState.AWAITING_UPLOAD:
            raise NotFound("This upload is whole, or was canceled.")
        return self._state(job, self.store.take(job_id, holder=holder))

    def _state(self, job: Job, resumable: Resumable) -> _State:
        sizes: tuple[int, ...] = ()
        if job.multipart is not None:
            try:
                sizes = self.parts.sizes(job.id, multipart=job.multipart)
            except AudioMissing:
                # joined by a process that died before it could say so
                sizes = (job.input.size_bytes or 0,)
        tail = resumable.tail if resumable.tail and resumable.tail.after_parts == len(sizes) else None
        offset = sum(sizes) + (tail.size_bytes if tail else 0)
        return _State(job=job, resumable=resumable, parts=len(sizes), tail=tail, offset=offset)

    def _finish(self, job_id: str) -> None:
        """All has arrived: let a worker have it. Once more after a crash, it does the rest."""
        jobs, audio = self.submissions.jobs, self.submissions.audio
        job = jobs.get(job_id)
        if job.multipart is not None:
            self.parts.join(job_id, multipart=job.multipart, size_bytes=job.input.size_bytes or 0)
        try:
            with audio.open(job_id) as file:
                arrived = file.seek(0, os.SEEK_END)
                file.seek(0)
                head = file.read(SNIFF_BYTES)
        except AudioMissing:
            self._remove(job)
            raise NotFound("What had arrived of this upload was removed; begin a new one.") from None
        if arrived != job.input.size_bytes:
            raise Conflict("Not all of the file has arrived; ask how far it is.", code="upload_unfinished")
        try:
            refuse_unless_sound(head)
        except UnsupportedMedia:
            self._remove(job)
            raise
        job = jobs.change(job_id, partial(submitted, now=time.time()))
        self.submissions.ring(job)
        _log.info("job_accepted", filename=job.input.filename, bytes=job.input.size_bytes)
        try:
            self._drop_tail(job_id)
            self.store.remove(job_id)
        except Unavailable as error:
            _log.warning("tail_not_dropped", why=error.message)

    def _drop_tail(self, job_id: str) -> None:
        with contextlib.suppress(NotFound):
            tail = self.store.get(job_id).tail
            if tail is not None:
                self.submissions.audio.delete(tail.key)

    def _remove(self, job: Job) -> None:
        """The record first: what storage holds without one is an orphan, should we die here."""
        self.submissions.jobs.remove(job.id)
        if job.multipart is not None:
            self.parts.abort(job.id, multipart=job.multipart)
        self.submissions.audio.delete(job.id)
        self._drop_tail(job.id)
        self.store.remove(job.id)

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


class _Writer:
    """One request's bytes, after those of the requests before it."""

    def __init__(self, state: _State, receiver: Receiver, holder: str, uploads: ResumableUploads) -> None:
        self._state = state
        self._job = state.job
        self._receiver = receiver
        self._holder = holder
        self._uploads = uploads
        self._audio = uploads.submissions.audio
        self._sender = PartSender(
            self._begin,
            parts_in_flight=uploads.submissions.terms.upload_parts_in_flight,
            sent=state.parts,
        )

    async def write(self, chunks: AsyncIterator[bytes]) -> None:
        if tail := self._state.tail:
            await self._receiver.seed(tail.size_bytes, partial(self._read_tail, tail))
        try:
            async for part, hold in self._receiver.full_parts(chunks):
                await self._sender.send(part, hold)
                del part
            if self._state.offset + self._receiver.size_bytes == self._state.length:
                await self._end()
            else:
                await self._sender.landed()
                await run(self._leave_tail)
        except UnsupportedMedia:
            raise
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._keep_what_came()
            raise

    async def _end(self) -> None:
        """The last part may be short; a small file needs no parts at all."""
        rest = self._receiver.rest
        if self._sender.number == 0 and self._job.multipart is None:
            await run(self._audio.put, self._job.id, rest, media_type=self._job.input.media_type or "")
            return
        await self._sender.landed()
        if rest:
            upload: AudioUpload | None = self._sender.upload
            if upload is None:
                upload = await run_in_threadpool(self._begin)
            await run(upload.write, rest, number=self._sender.number + 1)

    async def _keep_what_came(self) -> None:
        """As far as it is without a gap."""
        if not await self._sender.settled():
            return
        try:
            await run(self._leave_tail)
        except Unavailable as error:
            _log.warning("tail_not_kept", why=error.message)

    def _begin(self) -> _Parts:
        """Start or continue the object. Blocks, briefly and once an upload."""
        multipart = self._job.multipart
        if multipart is None:
            media_type = self._job.input.media_type or ""
            started = self._uploads.parts.start(self._job.id, media_type=media_type)
            self._uploads.submissions.jobs.change(self._job.id, lambda job: job.expect_parts(started))
            multipart = started
        return _Parts(self._uploads.parts, self._job.id, multipart)

    def _read_tail(self, tail: Tail, into: bytearray) -> None:
        with self._audio.open(tail.key) as file:
            file.readinto(into)  # type: ignore[attr-defined] # typeshed leaves it out of BinaryIO

    def _leave_tail(self) -> None:
        """A new object before the old one goes; if somebody else has the upload, ours is nobody's."""
        rest, old = self._receiver.rest, self._state.resumable.tail
        new = None
        if rest:
            key = f"{self._job.id}.{self._holder}"
            new = Tail(key=key, after_parts=self._sender.number, size_bytes=len(rest))
            self._audio.put(key, rest, media_type="application/octet-stream")
        kept = self._uploads.store.leave_tail(self._job.id, holder=self._holder, tail=new)
        superseded = old if kept else new
        if superseded is not None:
            self._audio.delete(superseded.key)
        if not kept:
            raise Conflict(
                "Another request has taken this upload over; ask how far it is.", code="taken_over"
            )


async def _limited(chunks: AsyncIterator[bytes], most: int, length: int) -> AsyncIterator[bytes]:
    """Raises TooLarge before a byte beyond the declared length."""
    async for chunk in chunks:
        most -= len(chunk)
        if most < 0:
            raise _beyond(length)
        yield chunk


def _beyond(length: int) -> TooLarge:
    return TooLarge(f"The upload was declared to have {length:,} bytes; there are more.", limit_bytes=length)

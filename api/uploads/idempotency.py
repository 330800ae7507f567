"""Idempotency-Key: a creating request that is sent twice creates once, and both get the same response.

The same key with another request is refused, and so is one whose first request is still running. A request
that created nothing releases its key. Keys belong to one caller and are kept for a day.
"""

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from anyio import CancelScope
from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool

from api.access.authentication import Caller
from shared.clock import store_time
from shared.errors import BadRequest, Conflict, IdempotencyKeyReused, Unavailable
from shared.observability.logs import get_logger
from shared.ports.uploads import IdempotencyClaim, IdempotencyStore, StoredResponse

_log = get_logger(__name__)

_LEASE_SECONDS = 30.0
_MAX_KEY_LENGTH = 255
_REPLAYED_HEADERS = ("location", "retry-after", "upload-expires", "callback-secret")

IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "maxLength": _MAX_KEY_LENGTH},
    "description": "Send the same key with the same request to get the same response again, for 24 hours.",
}


@dataclass(slots=True)
class IdempotentRequest:
    """One creating request, with a key or without."""

    id: str
    """The id to create under."""
    request_fingerprint: str
    """Of what is known before the body is read."""
    earlier: IdempotencyClaim | None = None
    """The completed request that had this key first."""
    taken_over: bool = False
    """Whether an earlier request with this key died: what it was to create may exist."""
    save: Callable[[str, StoredResponse], Awaitable[None]] | None = None

    def replay(self, fingerprint: str) -> Response:
        """Return the earlier response. Raises IdempotencyKeyReused if that request was a different one."""
        if (
            self.earlier is None
            or self.earlier.response is None
            or self.earlier.body_fingerprint != fingerprint
        ):
            raise key_reused()
        stored = self.earlier.response
        headers = {**stored.headers, "Idempotent-Replayed": "true"}
        return Response(stored.body, stored.status, headers, "application/json")

    async def complete(self, fingerprint: str, response: Response) -> Response:
        """Save the response for later requests, and return it."""
        if self.save is not None:
            headers = {name: value for name, value in response.headers.items() if name in _REPLAYED_HEADERS}
            body = bytes(response.body).decode()
            try:
                await self.save(
                    fingerprint, StoredResponse(status=response.status_code, headers=headers, body=body)
                )
            except Unavailable as error:
                # the next request with this key finds what was created by its id
                _log.warning("idempotency_save_failed", reason=error.message)
        return response


class Idempotency:
    """Runs creating requests at most once for each key."""

    def __init__(self, store: IdempotencyStore) -> None:
        self._store = store

    async def run(
        self,
        request: Request,
        caller: Caller,
        body: object,
        create: Callable[[str], Awaitable[Response]],
    ) -> Response:
        """Return the response of *create*, or of the earlier request that had this key.

        *create* gets the id to create under. It finds something there if an earlier request died after it
        had created it. *body*: whatever makes this request a different one.

        Raises:
            BadRequest: the key is malformed.
            IdempotencyKeyReused: an earlier request with this key was a different one.
            Conflict: the first request is still running.
        """
        async with self.start(request, caller) as attempt:
            whole = fingerprint(attempt.request_fingerprint, body)
            if attempt.earlier:
                return attempt.replay(whole)
            return await attempt.complete(whole, await create(attempt.id))

    @asynccontextmanager
    async def start(self, request: Request, caller: Caller) -> AsyncIterator[IdempotentRequest]:
        """Claim the request's key, for those who know the body's fingerprint only later. Raises as `run`."""
        lines = request.headers.getlist("idempotency-key")
        head = fingerprint(request.method, request.url.path, *sorted(request.query_params.multi_items()))
        if not lines:
            yield IdempotentRequest(id=new_id(), request_fingerprint=head)
            return
        key = _scoped_key(lines, caller, request)
        lock_owner = secrets.token_hex(8)
        ours = IdempotencyClaim(
            request_fingerprint=head,
            resource_id=new_id(),
            lock_owner=lock_owner,
            locked_until=store_time() + _LEASE_SECONDS,
        )
        claim = await run_in_threadpool(self._store.claim, key, ours, now=store_time())
        if claim.request_fingerprint != head:
            raise key_reused()
        attempt = IdempotentRequest(
            id=claim.resource_id, request_fingerprint=head, taken_over=claim.resource_id != ours.resource_id
        )
        if claim.response is not None:
            attempt.earlier = claim
            yield attempt
            return
        if claim.lock_owner != lock_owner:
            raise Conflict(
                "A request with this Idempotency-Key is still running. Try again when it has finished.",
                code="key_in_flight",
            )
        async with self._lease(key, lock_owner, attempt):
            yield attempt

    @asynccontextmanager
    async def _lease(self, key: str, lock_owner: str, attempt: IdempotentRequest) -> AsyncIterator[None]:
        saved = False

        async def save(whole: str, response: StoredResponse) -> None:
            nonlocal saved
            saved = True
            await run_in_threadpool(
                self._store.complete, key, lock_owner=lock_owner, body_fingerprint=whole, response=response
            )

        attempt.save = save
        renewing = asyncio.create_task(self._renew(key, lock_owner))
        try:
            yield
        finally:
            renewing.cancel()
            if not saved:
                with CancelScope(shield=True), contextlib.suppress(Unavailable):
                    await run_in_threadpool(self._store.release, key, lock_owner=lock_owner)

    async def _renew(self, key: str, lock_owner: str) -> None:
        while True:
            await asyncio.sleep(_LEASE_SECONDS / 3)
            try:
                until = store_time() + _LEASE_SECONDS
                await run_in_threadpool(self._store.renew, key, lock_owner=lock_owner, locked_until=until)
            except Unavailable as error:
                _log.warning("idempotency_lease_renew_failed", reason=error.message)


def new_id() -> str:
    """Return 128 random bits as text."""
    return secrets.token_urlsafe(16)


def fingerprint(*parts: object) -> str:
    """Return a hash that is equal for equal parts only."""
    return hashlib.sha256("\0".join(map(repr, parts)).encode()).hexdigest()


def key_reused() -> IdempotencyKeyReused:
    """Return the error for a key that came with a different request before."""
    return IdempotencyKeyReused(
        "This Idempotency-Key was used for a different request. Use a new key for each request."
    )


def _scoped_key(lines: Sequence[str], caller: Caller, request: Request) -> str:
    """Callers without an API key share keys only with those at their own address."""
    if len(lines) > 1:
        raise BadRequest("Send one Idempotency-Key header, not several.", code="bad_idempotency_key")
    raw = lines[0]
    if not 0 < len(raw) <= _MAX_KEY_LENGTH or not raw.isprintable():
        raise BadRequest(
            f"The Idempotency-Key must have 1 to {_MAX_KEY_LENGTH} printable characters. Use a UUID.",
            code="bad_idempotency_key",
        )
    address = request.client.host if request.client else ""
    return fingerprint(caller.key_id, address if caller.key_id is None else "", raw)

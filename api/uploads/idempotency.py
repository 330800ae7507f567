"""Idempotency-Key: a creating request sent twice creates once, and both get the same answer.

The same key with another request is refused; so is one whose first request is still at work. A request that
created nothing gives its key back. Keys are each caller's own and kept for a day.
"""

import asyncio
import contextlib
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from anyio import CancelScope
from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool

from api.access.authentication import Caller
from shared.errors import BadRequest, Conflict, IdempotencyKeyReused, Unavailable
from shared.observability.logs import get_logger
from shared.ports.uploads import IdempotencyClaim, IdempotencyStore, StoredResponse

_log = get_logger(__name__)

_LEASE_SECONDS = 30.0
_LONGEST_KEY = 255
_KEPT_HEADERS = ("location", "retry-after", "tus-resumable", "upload-expires")


def new_id() -> str:
    """128 random bits."""
    return secrets.token_urlsafe(16)


@dataclass(slots=True)
class IdempotentRequest:
    """One creating request. Without a key it is its own."""

    subject: str
    """The id to create under."""
    head: str
    answered: IdempotencyClaim | None = None
    """What an earlier request of this key was answered."""
    taken_over: bool = False
    """An earlier request of this key died: what it was to create may be there."""
    settle: Callable[[str, StoredResponse], Awaitable[None]] | None = None

    def replay(self, whole: str) -> Response:
        """The earlier answer. Raises IdempotencyKeyReused if the earlier request was another one."""
        if self.answered is None or self.answered.response is None or self.answered.body_fingerprint != whole:
            raise _reused()
        answer = self.answered.response
        headers = {**answer.headers, "Idempotent-Replayed": "true"}
        return Response(answer.body, answer.status, headers, "application/json")

    async def answer(self, whole: str, answer: Response) -> Response:
        """Remember the answer and give it."""
        if self.settle is not None:
            headers = {name: value for name, value in answer.headers.items() if name in _KEPT_HEADERS}
            body = bytes(answer.body).decode()
            try:
                await self.settle(
                    whole, StoredResponse(status=answer.status_code, headers=headers, body=body)
                )
            except Unavailable as error:
                # what was created stands; the next request of this key finds it by its id
                _log.warning("answer_not_kept", why=error.message)
        return answer


class Idempotency:
    """Opens a `IdempotentRequest` for each creating request."""

    def __init__(self, claims: IdempotencyStore) -> None:
        self._claims = claims

    @asynccontextmanager
    async def once(self, request: Request, caller: Caller) -> AsyncIterator[IdempotentRequest]:
        """Raises BadRequest for an invalid key, IdempotencyKeyReused, Conflict while the first one runs."""
        given = request.headers.get("idempotency-key")
        head = fingerprint(request.method, request.url.path, *sorted(request.query_params.multi_items()))
        if given is None:
            yield IdempotentRequest(subject=new_id(), head=head)
            return
        key = _scoped(given, caller, request)
        holder = secrets.token_hex(8)
        wanted = IdempotencyClaim(
            request_fingerprint=head,
            resource_id=new_id(),
            lock_owner=holder,
            locked_until=time.time() + _LEASE_SECONDS,
        )
        claim = await run_in_threadpool(self._claims.claim, key, wanted, now=time.time())
        if claim.request_fingerprint != head:
            raise _reused()
        if claim.response is not None:
            yield IdempotentRequest(subject=claim.resource_id, head=head, answered=claim)
            return
        if claim.lock_owner != holder:
            raise Conflict(
                "A request with this Idempotency-Key is still at work; ask again when it has ended.",
                code="key_in_flight",
            )
        once = IdempotentRequest(
            subject=claim.resource_id, head=head, taken_over=claim.resource_id != wanted.resource_id
        )
        async with self._held(key, holder, once):
            yield once

    @asynccontextmanager
    async def _held(self, key: str, holder: str, once: IdempotentRequest) -> AsyncIterator[None]:
        settled = False

        async def settle(whole: str, answer: StoredResponse) -> None:
            nonlocal settled
            settled = True
            await run_in_threadpool(
                self._claims.complete, key, lock_owner=holder, body_fingerprint=whole, response=answer
            )

        once.settle = settle
        renewing = asyncio.create_task(self._renew(key, holder))
        try:
            yield
        finally:
            renewing.cancel()
            if not settled:
                with CancelScope(shield=True), contextlib.suppress(Unavailable):
                    await run_in_threadpool(self._claims.release, key, lock_owner=holder)

    async def _renew(self, key: str, holder: str) -> None:
        while True:
            await asyncio.sleep(_LEASE_SECONDS / 3)
            try:
                until = time.time() + _LEASE_SECONDS
                await run_in_threadpool(self._claims.renew, key, lock_owner=holder, locked_until=until)
            except Unavailable as error:
                _log.warning("key_not_renewed", why=error.message)


def fingerprint(*parts: object) -> str:
    """The same for the same parts, and for no others."""
    return hashlib.sha256("\0".join(map(repr, parts)).encode()).hexdigest()


def _scoped(given: str, caller: Caller, request: Request) -> str:
    """Strangers without a key of ours share no names but with those at their own address."""
    if not 0 < len(given) <= _LONGEST_KEY or not given.isprintable():
        raise BadRequest(
            f"An Idempotency-Key has 1 to {_LONGEST_KEY} printable characters; a UUID will do.",
            code="bad_idempotency_key",
        )
    address = request.client.host if request.client else ""
    return fingerprint(caller.key_id, address if caller.key_id is None else "", given)


def _reused() -> IdempotencyKeyReused:
    return IdempotencyKeyReused(
        "This Idempotency-Key came with another request before; use a new one for each request."
    )


IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "maxLength": _LONGEST_KEY},
    "description": "Send the same key again with the same request to get the same answer, for 24 h.",
}

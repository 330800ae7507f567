"""Authenticate a request by its API key, and check what the caller may do.

A route takes CurrentCaller or CurrentOperator.
"""

import hashlib
import ipaddress
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPBearer

from shared.clock import store_time
from shared.domain.api_key import Scope, check_token, key_id_of, with_included
from shared.domain.batch import Batch
from shared.domain.job import Job
from shared.errors import Forbidden, NotFound, Unauthenticated, Unavailable
from shared.ports.access import ApiKeyStore

_MARK_SECONDS = 60.0
_READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_MISSING_KEY = "This request requires an API key. Send the header `Authorization: Bearer kam_…`."

_bearer = HTTPBearer(
    auto_error=False,
    bearerFormat="kam_<id>_<secret>",
    description="Create one with `python -m api keys create`.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The sender of a request: an API key, or an anonymous client, who may read a job if it knows the id."""

    key_id: str | None
    scopes: frozenset[Scope]
    subject: str = "address:unknown"
    """The key or address that limits count."""

    def require(self, scope: Scope) -> None:
        """Raise Unauthenticated if a key is missing, Forbidden if the key lacks the scope."""
        if scope in with_included(self.scopes):
            return
        if self.key_id is None:
            raise Unauthenticated(_MISSING_KEY)
        raise Forbidden(f"This API key lacks the scope `{scope}`. Use a key that has it.")

    def check_can_read(self, resource: Job | Batch) -> None:
        """Raise NotFound unless the caller may read this. A job of another caller looks like no job."""
        self.require(Scope.JOBS_READ)
        self._check(resource, Scope.ADMIN_READ)

    def check_can_change(self, resource: Job | Batch) -> None:
        """Raise NotFound unless the caller may cancel, retry or delete this."""
        self.require(Scope.JOBS_WRITE)
        self._check(resource, Scope.ADMIN_WRITE)

    def _check(self, resource: Job | Batch, scope: Scope) -> None:
        if resource.owner != self.key_id and scope not in self.scopes:
            kind = "batch" if isinstance(resource, Batch) else "job"
            raise NotFound(f"The {kind} does not exist. It may have expired.")


ANONYMOUS = Caller(key_id=None, scopes=frozenset({Scope.JOBS_READ, Scope.JOBS_WRITE}))
UNAUTHENTICATED = Caller(key_id=None, scopes=frozenset())


class Authenticator:
    """Finds the caller of a request. Blocking."""

    def __init__(self, keys: ApiKeyStore, *, anonymous: bool) -> None:
        self._keys = keys
        self._without_key = ANONYMOUS if anonymous else UNAUTHENTICATED
        self._marked_at: dict[str, float] = {}
        """When this process last recorded the use of each key."""

    def authenticate(self, authorization: str | None) -> Caller:
        """The caller with this Authorization header. Raises Unauthenticated, Unavailable."""
        if authorization is None:
            return self._without_key
        scheme, _, token = authorization.strip().partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated(_MISSING_KEY)
        token = token.strip()
        now = store_time()
        key = check_token(token, self._keys.find(key_id_of(token)), now=now)
        self._mark_used(key.id, now)
        return Caller(key_id=key.id, scopes=key.scopes)

    def _mark_used(self, key_id: str, now: float) -> None:
        """At most one write per key and minute. It is information only, so a failure is ignored."""
        if now - self._marked_at.get(key_id, 0.0) < _MARK_SECONDS:
            return
        self._marked_at[key_id] = now
        with suppress(Unavailable):
            self._keys.mark_used(key_id, now=now)


async def identify(request: Request) -> Caller:
    """The caller of this request, looked up once. A dashboard session may have set `request.state.caller`.

    Raises Unauthenticated, Unavailable.
    """
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None:
        authenticator: Authenticator = request.app.state.authenticator
        caller = await run_in_threadpool(authenticator.authenticate, request.headers.get("authorization"))
        caller = replace(caller, subject=subject_of(caller.key_id, client_address(request)))
        request.state.caller = caller
    return caller


def client_address(request: Request) -> str | None:
    """The address of the client, or of a proxy in front of it that is not trusted."""
    return request.client.host if request.client else None


def subject_of(key_id: str | None, address: str | None) -> str:
    """The key or address that is limited. Of IPv6, the /64 network: a client has 2^64 addresses."""
    if key_id is not None:
        return f"key:{key_id}"
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return "address:unknown"
    if parsed.version == 6:
        if parsed.ipv4_mapped is None:
            parsed = ipaddress.ip_network((int(parsed) >> 64 << 64, 64)).network_address
        else:
            parsed = parsed.ipv4_mapped
    # Hashed: an IP address is personal data.
    return "address:" + hashlib.sha256(str(parsed).encode()).hexdigest()[:20]


async def current_caller(request: Request, _: Annotated[object, Security(_bearer)]) -> Caller:
    """The caller, who needs `jobs:read`, or `jobs:write` for a method that changes something."""
    caller = await identify(request)
    caller.require(Scope.JOBS_READ if request.method in _READ_METHODS else Scope.JOBS_WRITE)
    return caller


async def current_operator(request: Request, _: Annotated[object, Security(_bearer)]) -> Caller:
    """The caller, who needs `admin:read`, or `admin:write` for a method that changes something."""
    caller = await identify(request)
    caller.require(Scope.ADMIN_READ if request.method in _READ_METHODS else Scope.ADMIN_WRITE)
    return caller


CurrentCaller = Annotated[Caller, Depends(current_caller)]
CurrentOperator = Annotated[Caller, Depends(current_operator)]

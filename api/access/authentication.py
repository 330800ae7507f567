"""Who is asking, and what they may do. Knows no route: a route takes CurrentCaller or CurrentOperator."""

import time
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPBearer

from shared.domain.api_key import Scope, check_token, key_id_of, with_included
from shared.domain.batch import Batch
from shared.domain.job import Job
from shared.errors import Forbidden, NotFound, Unauthenticated
from shared.ports.access import ApiKeyStore

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_HOW = "Send an API key: Authorization: Bearer kam_…"

_bearer = HTTPBearer(
    auto_error=False, bearerFormat="kam_<id>_<secret>", description="Made by `python -m api keys create`."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Somebody with an API key, or anybody: then the unguessable job id is the capability."""

    key_id: str | None
    scopes: frozenset[Scope]

    def require(self, scope: Scope) -> None:
        """Raise Unauthenticated where a key could help, Forbidden where the one given does not."""
        if scope in with_included(self.scopes):
            return
        if self.key_id is None:
            raise Unauthenticated(_HOW)
        raise Forbidden(f"This API key lacks the scope {scope}.")

    def check_sees(self, thing: Job | Batch) -> None:
        """Raise NotFound unless this is theirs, or everybody's is. Others' jobs and batches don't exist."""
        self.require(Scope.JOBS_READ)
        self._check(thing, Scope.ADMIN_READ)

    def check_changes(self, thing: Job | Batch) -> None:
        """Raise NotFound unless they may cancel, retry or delete this."""
        self.require(Scope.JOBS_WRITE)
        self._check(thing, Scope.ADMIN_WRITE)

    def _check(self, thing: Job | Batch, scope: Scope) -> None:
        if thing.owner != self.key_id and scope not in self.scopes:
            what = "batch" if isinstance(thing, Batch) else "job"
            raise NotFound(f"There is no such {what}. It may have expired.")


ANYBODY = Caller(key_id=None, scopes=frozenset({Scope.JOBS_READ, Scope.JOBS_WRITE}))
NOBODY = Caller(key_id=None, scopes=frozenset())


class Authenticator:
    """Tells callers by their API keys."""

    def __init__(self, keys: ApiKeyStore, *, anonymous: bool) -> None:
        self._keys = keys
        self._stranger = ANYBODY if anonymous else NOBODY

    def tell(self, authorization: str | None) -> Caller:
        """Who sent this Authorization header. Raises Unauthenticated, Unavailable."""
        if authorization is None:
            return self._stranger
        scheme, _, token = authorization.strip().partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated(_HOW)
        token = token.strip()
        key = check_token(token, self._keys.find(key_id_of(token)), now=time.time())
        return Caller(key_id=key.id, scopes=key.scopes)


async def identify(request: Request) -> Caller:
    """Who sends this request, told once. A dashboard session may have set `request.state.caller` before.

    Raises Unauthenticated, Unavailable.
    """
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None:
        doorkeeper: Authenticator = request.app.state.doorkeeper
        caller = await run_in_threadpool(doorkeeper.tell, request.headers.get("authorization"))
        request.state.caller = caller
    return caller


async def current_caller(request: Request, _: Annotated[object, Security(_bearer)]) -> Caller:
    """A caller who may read jobs, or with any other method write them."""
    caller = await identify(request)
    caller.require(Scope.JOBS_READ if request.method in _READING else Scope.JOBS_WRITE)
    return caller


async def current_operator(request: Request, _: Annotated[object, Security(_bearer)]) -> Caller:
    """A caller who may see the dashboard, or with any other method work it."""
    caller = await identify(request)
    caller.require(Scope.ADMIN_READ if request.method in _READING else Scope.ADMIN_WRITE)
    return caller


CurrentCaller = Annotated[Caller, Depends(current_caller)]
CurrentOperator = Annotated[Caller, Depends(current_operator)]

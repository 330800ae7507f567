"""Who is asking, and what they may do."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from fastapi import Depends, Request


class Scope(StrEnum):
    """What an API key may be allowed."""

    JOBS_WRITE = "jobs:write"
    JOBS_READ = "jobs:read"
    ADMIN_READ = "admin:read"
    ADMIN_WRITE = "admin:write"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Somebody with an API key, or anybody: then the unguessable job id is the capability."""

    key_id: str | None
    scopes: frozenset[Scope]


ANYBODY = Caller(key_id=None, scopes=frozenset({Scope.JOBS_READ, Scope.JOBS_WRITE}))


async def current_caller(request: Request) -> Caller:
    """Who sends this request."""
    caller: Caller = getattr(request.state, "caller", ANYBODY)
    return caller


CurrentCaller = Annotated[Caller, Depends(current_caller)]

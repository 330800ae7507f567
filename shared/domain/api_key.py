"""API keys: their format, their scopes, and the check of a token. Pure.

A token is `kam_<id>_<secret>`. The id finds the record, which has only the SHA-256 of the secret. A slow
hash would add nothing: nobody can guess 256 random bits.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field, replace
from typing import Self

from shared.domain.open_enum import OpenEnum
from shared.errors import BadRequest, Unauthenticated

_TOKEN = re.compile(r"kam_([0-9a-f]{12})_([0-9a-f]{64})", re.ASCII)
_NO_HASH = "0" * 64
_MAX_NAME_LENGTH = 100


class Scope(OpenEnum):
    """What an API key allows."""

    JOBS_WRITE = "jobs:write"
    JOBS_READ = "jobs:read"
    ADMIN_READ = "admin:read"
    """See all jobs, and the dashboard."""
    ADMIN_WRITE = "admin:write"
    """Change all jobs, pause queues, create and revoke keys."""


_INCLUDES = {Scope.ADMIN_READ: Scope.JOBS_READ, Scope.ADMIN_WRITE: Scope.JOBS_WRITE}


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it is recorded, without its secret."""

    id: str
    name: str
    """For people: who uses it, and for what."""
    secret_hash: str
    """SHA-256 of the secret, lower-case hexadecimal."""
    scopes: frozenset[Scope]
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    last_used_at: float | None = None
    """Accurate to about a minute."""
    unknown_fields: str = field(default="", repr=False)
    """JSON of record fields that this version does not know."""

    def revoke(self, *, now: float) -> Self:
        """Revoke it. The first revocation counts."""
        return self if self.revoked_at is not None else replace(self, revoked_at=now)

    def is_usable(self, *, now: float) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def issue_key(
    name: str, *, scopes: frozenset[Scope], now: float, expires_at: float | None = None
) -> tuple[ApiKey, str]:
    """Create a key: its record, and the token, which can't be shown again. Raises BadRequest."""
    name = " ".join(name.split())
    if not name or len(name) > _MAX_NAME_LENGTH or not name.isprintable():
        raise BadRequest(f"Give the key a printable name of at most {_MAX_NAME_LENGTH} characters.")
    if not scopes:
        raise BadRequest("Give the key at least one scope: " + ", ".join(Scope) + ".")
    if expires_at is not None and expires_at <= now:
        raise BadRequest("The expiry must be in the future.")
    key_id, secret = secrets.token_hex(6), secrets.token_hex(32)
    key = ApiKey(
        id=key_id,
        name=name,
        secret_hash=_hash(secret),
        scopes=scopes,
        created_at=now,
        expires_at=expires_at,
    )
    return key, f"kam_{key_id}_{secret}"


def key_id_of(token: str) -> str:
    """The id of the key of a token. Raises Unauthenticated."""
    return _parts(token)[0]


def check_token(token: str, key: ApiKey | None, *, now: float) -> ApiKey:
    """Return the key if the token is right and the key is usable. Raises Unauthenticated.

    An unknown id takes as long as a wrong secret. Only the right secret reveals that the key was revoked or
    has expired.
    """
    _, secret = _parts(token)
    right = hmac.compare_digest(_hash(secret), key.secret_hash if key else _NO_HASH)
    if key is None or not right:
        raise Unauthenticated("The API key is invalid.")
    if key.revoked_at is not None:
        raise Unauthenticated("The API key was revoked. Ask the operator for a new one.")
    if not key.is_usable(now=now):
        raise Unauthenticated("The API key has expired. Ask the operator for a new one.")
    return key


def with_included(scopes: frozenset[Scope]) -> frozenset[Scope]:
    """The scopes and those they include: an operator's key also works for jobs."""
    return scopes | {_INCLUDES[scope] for scope in scopes if scope in _INCLUDES}


def _parts(token: str) -> tuple[str, str]:
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise Unauthenticated("The API key is invalid. A key looks like kam_<12 digits>_<64 digits>.")
    return found[1], found[2]


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()

"""AuditLog in Redis: a stream of about ten thousand entries."""

from dataclasses import asdict
from functools import partial
from typing import Any

import redis
from pydantic import TypeAdapter

from shared.ports.admin import AuditEntry
from shared.redis.client import translate_redis_errors

_MAX_ENTRIES = 10_000

_ENTRY = TypeAdapter(AuditEntry)

_translate_errors = partial(
    translate_redis_errors, "The audit log is unavailable. Try again in a few seconds."
)


class RedisAuditLog:
    """Who did what, and when."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._stream = prefix + "audit"

    def add(self, entry: AuditEntry) -> None:
        """Append an entry."""
        fields: Any = {name: str(value) for name, value in asdict(entry).items()}
        with _translate_errors():
            self._client.xadd(self._stream, fields, maxlen=_MAX_ENTRIES, approximate=True)

    def latest(self, *, limit: int) -> tuple[AuditEntry, ...]:
        """The newest entries, newest first."""
        with _translate_errors():
            found: Any = self._client.xrevrange(self._stream, count=limit)
        return tuple(_ENTRY.validate_python(fields) for _, fields in found)

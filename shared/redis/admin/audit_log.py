"""AuditLog in Redis: a stream of about ten thousand entries."""

import re
from dataclasses import asdict
from functools import partial
from typing import Any

import redis
from pydantic import TypeAdapter

from shared.errors import BadRequest
from shared.ports.admin import AuditEntry, AuditPage, AuditQuery
from shared.redis.client import translate_redis_errors

_MAX_ENTRIES = 10_000
_BATCH = 500
_CURSOR = re.compile(r"\d{1,20}-\d{1,20}")

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

    def page(self, query: AuditQuery) -> AuditPage:
        """A page of entries, newest first. Raises BadRequest for an invalid cursor."""
        if query.cursor is not None and not _CURSOR.fullmatch(query.cursor):
            raise BadRequest("The cursor is invalid. Start again without a cursor.")
        found: list[tuple[str, AuditEntry]] = []
        batch = self._read_before(query.cursor)
        while batch and len(found) <= query.limit:
            found += [(entry_id, entry) for entry_id, entry in batch if query.matches(entry)]
            batch = self._read_before(batch[-1][0])
        page = found[: query.limit]
        return AuditPage(
            entries=tuple(entry for _, entry in page),
            cursor=page[-1][0] if len(found) > query.limit else None,
        )

    def _read_before(self, cursor: str | None) -> list[tuple[str, AuditEntry]]:
        newest = "+" if cursor is None else f"({cursor}"
        with _translate_errors():
            rows: Any = self._client.xrevrange(self._stream, max=newest, count=_BATCH)
        return [(entry_id, _ENTRY.validate_python(fields)) for entry_id, fields in rows]

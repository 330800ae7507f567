"""DashboardStore in Redis.

operation:{id}     JSON of a bulk operation, for a day
acknowledged       hash: warning → count
"""

from collections.abc import Mapping
from functools import partial
from typing import cast

import redis
from pydantic import TypeAdapter

from shared.ports.admin import BulkOperation
from shared.redis.client import translate_redis_errors

_translate_errors = partial(
    translate_redis_errors, "The dashboard store is unavailable. Try again in a few seconds."
)
_OPERATION = TypeAdapter(BulkOperation)


class RedisDashboardStore:
    """What the dashboard itself remembers."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._operation = prefix + "operation:"
        self._acknowledged = prefix + "acknowledged"

    def save_operation(self, operation: BulkOperation, *, ttl_seconds: int) -> None:
        """Record the progress of an operation."""
        with _translate_errors():
            self._client.set(self._operation + operation.id, _OPERATION.dump_json(operation), ex=ttl_seconds)

    def find_operation(self, operation_id: str) -> BulkOperation | None:
        """The operation as it was saved last; None if there is none."""
        with _translate_errors():
            record = cast(str | None, self._client.get(self._operation + operation_id))
        return None if record is None else _OPERATION.validate_json(record)

    def acknowledge(self, warning: str, count: int) -> None:
        """Hide a warning until its count is above this one."""
        with _translate_errors():
            self._client.hset(self._acknowledged, warning, str(count))

    def acknowledged(self) -> Mapping[str, int]:
        """The acknowledged count of each warning."""
        with _translate_errors():
            counts = cast(dict[str, str], self._client.hgetall(self._acknowledged))
        return {warning: int(count) for warning, count in counts.items()}

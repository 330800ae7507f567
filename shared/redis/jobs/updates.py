"""JobUpdateLog in Redis: a stream that every change of a job's state is written to."""

from functools import partial
from typing import Any, cast

import redis

from shared.ports.jobs import JobUpdate
from shared.redis.client import translate_redis_errors

_MAX_READ = 500

_translate_errors = partial(
    translate_redis_errors, "The stream of job updates is unavailable. Try again in a few seconds."
)


class RedisJobUpdateLog:
    """The stream of all jobs' state changes."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._stream = prefix + "transitions"

    def latest_cursor(self) -> str:
        """The cursor of the newest update."""
        with _translate_errors():
            last: Any = self._client.xrevrange(self._stream, count=1)
        return cast(str, last[0][0]) if last else "0-0"

    def read_after(self, cursor: str, *, wait_seconds: float) -> tuple[JobUpdate, ...]:
        """The updates after a cursor. The wait must be shorter than the client's socket timeout."""
        with _translate_errors():
            found: Any = self._client.xread(
                {self._stream: cursor}, count=_MAX_READ, block=max(1, int(wait_seconds * 1000))
            )
        entries = found[0][1] if found else []
        return tuple(
            JobUpdate(cursor=entry_id, job_id=fields["id"], state=fields["state"])
            for entry_id, fields in entries
        )

"""Transitions in Redis: the stream that RedisJobStore writes with every change of state."""

from functools import partial
from typing import Any, cast

import redis

from shared.ports import Transition
from shared.redis_outage import outage

_MOST = 500

_translated = partial(outage, "The stream of changes does not answer.")


class RedisTransitions:
    """The stream of all jobs' changes."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._stream = prefix + "transitions"

    def newest(self) -> str:
        """The cursor of what was written last."""
        with _translated():
            last: Any = self._client.xrevrange(self._stream, count=1)
        return cast(str, last[0][0]) if last else "0-0"

    def after(self, cursor: str, *, wait_seconds: float) -> tuple[Transition, ...]:
        """What was written after a cursor. The wait must be shorter than the client's patience."""
        with _translated():
            answer: Any = self._client.xread(
                {self._stream: cursor}, count=_MOST, block=max(1, int(wait_seconds * 1000))
            )
        entries = answer[0][1] if answer else []
        return tuple(
            Transition(cursor=entry_id, job_id=fields["id"], state=fields["state"])
            for entry_id, fields in entries
        )

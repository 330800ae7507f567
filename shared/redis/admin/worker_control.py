"""WorkerControl in Redis.

paused    set of queues
orders    hash: worker → command
"""

from collections.abc import Mapping
from functools import partial
from typing import cast

import redis

from shared.ports.workers import WorkerCommand
from shared.redis.client import translate_redis_errors

_translate_errors = partial(
    translate_redis_errors, "The worker controls are unavailable. Try again in a few seconds."
)


class RedisWorkerControl:
    """Paused queues, and commands to workers."""

    def __init__(self, client: "redis.Redis", *, prefix: str) -> None:
        self._client = client
        self._paused = prefix + "paused"
        self._commands = prefix + "orders"

    def pause(self, queue: str) -> None:
        """Stop starting jobs of a queue."""
        with _translate_errors():
            self._client.sadd(self._paused, queue)

    def resume(self, queue: str) -> None:
        """Start jobs of the queue again."""
        with _translate_errors():
            self._client.srem(self._paused, queue)

    def paused(self) -> frozenset[str]:
        """The paused queues."""
        with _translate_errors():
            return frozenset(cast(set[str], self._client.smembers(self._paused)))

    def send_command(self, worker: str, command: WorkerCommand) -> None:
        """Set the command of a worker."""
        with _translate_errors():
            self._client.hset(self._commands, worker, command)

    def clear_command(self, worker: str) -> None:
        """Delete the command of a worker."""
        with _translate_errors():
            self._client.hdel(self._commands, worker)

    def commands(self) -> Mapping[str, WorkerCommand]:
        """The command of each worker that has one. Commands of other versions are left out."""
        with _translate_errors():
            found = cast(dict[str, str], self._client.hgetall(self._commands))
        known = set(WorkerCommand)
        return {worker: WorkerCommand(command) for worker, command in found.items() if command in known}

"""The workers that are alive, and commands to them. Every method may raise Unavailable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """A worker's heartbeat."""

    name: str
    host: str
    pid: int
    started_at: float
    seen_at: float
    queues: tuple[str, ...] = ()
    concurrency: int = 1
    jobs_done: int = 0
    progress_at: float = 0.0
    """When it last started or ended a job, or started itself, UNIX seconds."""
    memory_bytes: int = 0
    memory_limit_bytes: int | None = None
    current_jobs: tuple[str, ...] = field(default=())
    clock_skew_seconds: float = 0.0
    """How far its clock is ahead of the store's. Only times in its log differ by it."""
    draining: bool = False
    """It starts no new jobs."""


class WorkerRegistry(Protocol):
    """The workers that are alive."""

    def heartbeat(self, worker: WorkerInfo) -> None:
        """Record that a worker is alive, for some seconds."""

    def deregister(self, name: str) -> None:
        """Remove a worker that stops."""

    def list_alive(self) -> tuple[WorkerInfo, ...]:
        """Workers with a recent heartbeat."""


class WorkerCommand(StrEnum):
    """A command to a worker."""

    DRAIN = "drain"
    """Finish the current jobs and start no new ones until the command is cleared."""
    RESTART = "restart"
    """Finish the current jobs and exit. The supervisor starts the worker again."""


class WorkerControl(Protocol):
    """Paused queues, and commands to workers. Both outlive restarts."""

    def pause(self, queue: str) -> None:
        """Stop starting jobs of a queue."""

    def resume(self, queue: str) -> None:
        """Start jobs of the queue again."""

    def paused(self) -> frozenset[str]:
        """The paused queues."""

    def send_command(self, worker: str, command: WorkerCommand) -> None:
        """Set the command of a worker."""

    def clear_command(self, worker: str) -> None:
        """Delete the command of a worker."""

    def commands(self) -> Mapping[str, WorkerCommand]:
        """The command of each worker that has one."""

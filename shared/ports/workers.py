"""Everything we need from outside for jobs, on one page. Adapters and fakes are named after the technology.

Every method may raise Unavailable; callers do not retry at once but hand the work back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """What a worker says about itself every few seconds."""

    name: str
    host: str
    pid: int
    started_at: float
    seen_at: float
    queues: tuple[str, ...] = ()
    concurrency: int = 1
    jobs_done: int = 0
    progress_at: float = 0.0
    """UNIX seconds: when it last started or ended a job, or began."""
    memory_bytes: int = 0
    memory_limit_bytes: int | None = None
    current_jobs: tuple[str, ...] = field(default=())
    draining: bool = False
    """Told to take nothing new."""


class WorkerRegistry(Protocol):
    """Who is at work."""

    def heartbeat(self, worker: WorkerInfo) -> None:
        """Say that a worker is alive; forgotten some seconds after the last call."""

    def deregister(self, name: str) -> None:
        """Say that a worker stops."""

    def list_alive(self) -> tuple[WorkerInfo, ...]:
        """Workers that were heard of lately."""


class WorkerCommand(StrEnum):
    """What a worker is told to do."""

    DRAIN = "drain"
    """Finish what it has and take nothing new, until the order is taken back."""
    RESTART = "restart"
    """Finish what it has and end; whoever supervises it starts it again."""


class WorkerControl(Protocol):
    """Levers that workers and rescuers heed. They stand in the store: a restart changes nothing."""

    def pause(self, queue: str) -> None:
        """Let no job of a queue be started."""

    def resume(self, queue: str) -> None:
        """Let them be started again."""

    def paused(self) -> frozenset[str]:
        """The queues that are paused."""

    def send_command(self, worker: str, command: WorkerCommand) -> None:
        """Tell a worker what to do."""

    def clear_command(self, worker: str) -> None:
        """Forget what a worker was told."""

    def commands(self) -> Mapping[str, WorkerCommand]:
        """What each worker was told."""

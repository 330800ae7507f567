"""How a sandboxed child ended and what it used."""

from dataclasses import dataclass, replace

from shared.errors import KammertonError


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildOutcome:
    """How a child ended and what it used.

    Its problem is an `Unanalysable` if the file caused it, and `Crashed` if the machine or Kammerton did.
    """

    answer: bytes | None
    """The task's return value. None if and only if there is a problem."""
    problem: KammertonError | None
    detail: str
    """For the log, never for the client: a traceback or a signal. Empty for ordinary problems of a file."""
    memory_peak_bytes: int
    """Peak resident memory of the child without inherited memory (with it on macOS).

    Does not count the copies of inherited pages that the child wrote to.
    """
    cpu_seconds: float
    wall_seconds: float
    storage_seconds: float
    """The part of *wall_seconds* that the child waited for reads."""
    bytes_read: int
    has_crashed: bool = False
    """True if the child died or broke the protocol."""

    def unwrap(self) -> bytes:
        """Return the answer or raise the problem (Unanalysable or Crashed)."""
        if self.problem is not None:
            raise self.problem
        return self.answer or b""

    def plus_cost_of(self, earlier: "ChildOutcome") -> "ChildOutcome":
        """Return this outcome with the cost of an earlier child added."""
        return replace(
            self,
            memory_peak_bytes=max(earlier.memory_peak_bytes, self.memory_peak_bytes),
            cpu_seconds=earlier.cpu_seconds + self.cpu_seconds,
            wall_seconds=earlier.wall_seconds + self.wall_seconds,
            storage_seconds=earlier.storage_seconds + self.storage_seconds,
            bytes_read=earlier.bytes_read + self.bytes_read,
        )

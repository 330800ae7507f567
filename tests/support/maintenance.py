"""One round of all maintenance."""

from dataclasses import dataclass

from worker.maintenance.orphan_sweeper import OrphanSweeper
from worker.maintenance.rescuer import Rescuer


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    rescuer: Rescuer
    sweeper: OrphanSweeper

    def run_once(self, *, now: float | None = None) -> None:
        self.rescuer.run_once(now=now)
        self.sweeper.run_once(now=now)

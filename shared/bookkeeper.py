"""Writes a process's tally down from time to time. What could not be written waits for the next time."""

import time

from shared.access_ports import CountStore
from shared.counts import Tally
from shared.errors import Unavailable
from shared.logs import get_logger

_log = get_logger(__name__)


class Bookkeeper:
    """One for each process. A process that is killed takes with it what it has not written."""

    def __init__(self, store: CountStore, *, tally: Tally, process: str) -> None:
        self.process = process
        self.tally = tally
        self._store = store
        self._failed = False

    def write(self) -> None:
        """Write everything down, if the store answers. Never raises Unavailable."""
        taken = self.tally.take()
        try:
            self._store.add(taken, process=self.process, now=time.time())
            self._failed = False
        except Unavailable as error:
            self.tally.add(taken)
            if not self._failed:
                self._failed = True
                _log.warning("counts_not_written", why=error.message)

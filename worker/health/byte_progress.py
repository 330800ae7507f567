"""When audio last arrived in any process of a worker: slow storage is no reason to kill a worker that reads.

The time is in memory that the parent shares with the children that it forks.
"""

import mmap
import struct
import time

_DOUBLE = struct.Struct("d")


class ByteProgress:
    """Create it before the fork."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, _DOUBLE.size)

    def mark(self, size: int) -> None:
        """Record that *size* bytes have arrived."""
        if size:
            _DOUBLE.pack_into(self._shared, 0, time.monotonic())

    @property
    def last_at(self) -> float:
        """The time of the last bytes, by the monotonic clock; 0 before the first."""
        return float(_DOUBLE.unpack_from(self._shared)[0])

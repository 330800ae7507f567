"""A file object over bytes of a known size that come from elsewhere."""

import errno
import io
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class SeekableFile(io.RawIOBase):
    """Read-only base class. Subclasses implement `_read_into`."""

    def __init__(self, size_bytes: int = 0) -> None:
        super().__init__()
        self.size_bytes = size_bytes
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in bytes from the start."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position without reading anything. Raises OSError if it would be negative."""
        # Arithmetic only, because libsndfile seeks to the end and back whenever it asks for the length.
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size_bytes}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, "seek before the start")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill *buffer* up to the end of the file and return the number of bytes. Fewer are not an error."""
        view = memoryview(buffer).cast("B")[: max(0, self.size_bytes - self._position)]
        count = self._read_into(view, self._position) if view else 0
        self._position += count
        return count

    def _read_into(self, view: memoryview, offset: int) -> int:
        """Fill *view*, which ends within the file, from *offset* and return the number of bytes."""
        raise NotImplementedError

"""A file of a known size whose bytes come from elsewhere: all of a file object but the reading itself."""

import errno
import io
import os


class SeekableFile(io.RawIOBase):
    """Read-only. Who inherits reads from `_at`, moves it on, and never beyond `size_bytes`."""

    def __init__(self, size_bytes: int = 0) -> None:
        super().__init__()
        self.size_bytes = size_bytes
        self._at = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Bytes from the beginning."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, as files do, without touching a byte. Raises OSError before the beginning."""
        # only arithmetic: libsndfile seeks to the end and back for every length it asks for
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size_bytes}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, "seek before the start")
        self._at = base + offset
        return self._at

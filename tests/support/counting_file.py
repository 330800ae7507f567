"""A file that counts what is read of it."""

from shared.seekable_file import SeekableFile


class CountingFile(SeekableFile):
    """Counts the bytes that are read of *content*."""

    def __init__(self, content: bytes) -> None:
        super().__init__(len(content))
        self._content = memoryview(content)
        self.bytes_read = 0

    def _read_into(self, view: memoryview, offset: int) -> int:
        view[:] = self._content[offset : offset + len(view)]
        self.bytes_read += len(view)
        return len(view)

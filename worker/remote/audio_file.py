"""A remote file as a seekable file object that fetches only what the decoder reads.

Without Range support on the server: the beginning of the file, fetched as far as needed into limited memory.
"""

import mmap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO, cast

from shared.domain.audio.formats import SNIFF_BYTES, looks_like_audio
from shared.domain.audio.refused import describe_content
from shared.errors import SourceRefused, Undecodable
from shared.outbound.client import OutboundClient, ResponseStream
from shared.seekable_file import SeekableFile
from worker.jobs.run_attempt import OpenAudio
from worker.remote.fetcher import RangeFetcher, RemoteLimits
from worker.remote.http_range import (
    Version,
    bad_response,
    content_length,
    parse_content_range,
    source_changed,
)

FIRST_RANGE_BYTES = 256 * 1024
"""Size of a range after a seek. Sequential reads double it up to `MAX_RANGE_BYTES`."""
MAX_RANGE_BYTES = 1024 * 1024
_UNLIMITED = 1 << 62


@contextmanager
def fetch(
    url: str,
    *,
    outbound: OutboundClient,
    limits: RemoteLimits,
    on_tick: Callable[[], None],
    on_bytes: Callable[[int], None],
) -> Iterator[OpenAudio]:
    """Open the file at *url*. Reads raise the same errors.

    Raises:
        SourceUnavailable: the server may answer later.
        SourceRefused, TooComplex, Undecodable: a retry can't help.
    """
    fetcher = RangeFetcher(url, outbound=outbound, limits=limits, on_tick=on_tick, on_bytes=on_bytes)
    with ExitStack() as stack:
        with fetcher.timed_wait():
            first = {"Range": f"bytes=0-{FIRST_RANGE_BYTES - 1}"}
            response = stack.enter_context(fetcher.get(first, max_bytes=_UNLIMITED))
            if response.status == 206:
                ranged = RangedAudio(fetcher, response)
        if response.status == 206:
            stack.close()
            yield OpenAudio(file=_require_audio(ranged), size_bytes=ranged.size_bytes)
            return
        spooled = stack.enter_context(SpooledAudio(fetcher, response))
        try:
            yield OpenAudio(file=_require_audio(spooled), size_bytes=content_length(response.headers))
        except Undecodable as error:
            if not spooled.is_truncated:
                raise
            raise Undecodable(
                f"{error.message} The server does not support Range requests, so only the first "
                f"{spooled.size_bytes:,} bytes were read. Upload the file instead.",
                code=error.code,
            ) from error


def _require_audio(audio: "_RemoteAudio") -> BinaryIO:
    if audio.size_bytes == 0:
        raise Undecodable("The file at this URL is empty.", code="no_audio")
    head = audio.read(min(SNIFF_BYTES, audio.size_bytes)) or b""
    if not looks_like_audio(head):
        raise SourceRefused(
            f"The URL leads to {describe_content(head)}. Use the URL of an audio file.",
            code="unsupported_media",
        )
    audio.seek(0)
    return cast(BinaryIO, audio)


class _RemoteAudio(SeekableFile):
    """Fills reads from as many fetched blocks as they need."""

    def _read_into(self, view: memoryview, offset: int) -> int:
        done = 0
        while done < len(view):
            data = self._bytes_at(offset + done, len(view) - done)
            if not data:
                break
            view[done : done + len(data)] = data
            done += len(data)
        return done

    def _bytes_at(self, offset: int, max_bytes: int) -> "bytes | memoryview":
        raise NotImplementedError


class RangedAudio(_RemoteAudio):
    """A file on a server that supports Range requests, as long as the file does not change."""

    def __init__(self, fetcher: RangeFetcher, response: ResponseStream) -> None:
        """*response* answers a request for the first `FIRST_RANGE_BYTES`."""
        super().__init__()
        self._fetcher = fetcher
        content_range = parse_content_range(response.headers, first=0, last=FIRST_RANGE_BYTES - 1)
        self._version = Version.of(response.headers, total=content_range.total)
        self.size_bytes = content_range.total
        _check_file_size(content_range.total, fetcher.limits)
        self._head = fetcher.read_exactly(response, content_range.size)
        self._start, self._block = 0, self._head
        self._next_bytes = 2 * FIRST_RANGE_BYTES

    def _bytes_at(self, offset: int, max_bytes: int) -> memoryview:
        if offset < len(self._head):
            return memoryview(self._head)[offset : offset + max_bytes]
        if not self._start <= offset < self._start + len(self._block):
            self._fetch_block(offset)
        return memoryview(self._block)[offset - self._start : offset - self._start + max_bytes]

    def _fetch_block(self, offset: int) -> None:
        """Fetch the block that begins at *offset*."""
        is_sequential = offset == self._start + len(self._block)
        size = self._next_bytes if is_sequential else FIRST_RANGE_BYTES
        last = min(offset + size, self.size_bytes) - 1
        self._fetcher.check_read_limit(last - offset + 1)
        self._block = b""  # frees the old block first to halve the peak memory
        with self._fetcher.timed_wait():
            self._block = self._fetch_range(offset, last)
        self._start = offset
        self._next_bytes = min(2 * size, MAX_RANGE_BYTES)

    def _fetch_range(self, first: int, last: int) -> bytes:
        headers = {"Range": f"bytes={first}-{last}", **self._version.condition}
        try:
            with self._fetcher.get(headers, max_bytes=last - first + 1) as response:
                if response.status != 206:
                    if self._version.condition:
                        raise source_changed()
                    raise bad_response("stopped honouring Range requests")
                content_range = parse_content_range(response.headers, first=first, last=last)
                if Version.of(response.headers, total=content_range.total) != self._version:
                    raise source_changed()
                return self._fetcher.read_exactly(response, content_range.size)
        except SourceRefused as error:
            if error.code in ("no_audio", "source_not_found"):  # the file is shorter now, or gone
                raise source_changed() from error
            raise


class SpooledAudio(_RemoteAudio):
    """The beginning of a file, from one response that is read as far as needed."""

    def __init__(self, fetcher: RangeFetcher, response: ResponseStream) -> None:
        super().__init__()
        max_bytes = fetcher.limits.spool_bytes
        # Untouched pages use no memory, and child processes do not inherit it.
        self._memory = mmap.mmap(-1, max_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_DONTFORK"):
            self._memory.madvise(mmap.MADV_DONTFORK)
        declared = content_length(response.headers)
        _check_file_size(declared or 0, fetcher.limits)
        self._fetcher = fetcher
        self._chunks = response.chunks
        self._stored_bytes = 0
        self._ended = False
        if declared is None:
            self._fetch_until(max_bytes)
        self.size_bytes = self._stored_bytes if declared is None else min(declared, max_bytes)
        self.is_truncated = not self._ended if declared is None else declared > max_bytes

    def close(self) -> None:
        """Free the memory."""
        super().close()
        self._memory.close()

    def _bytes_at(self, offset: int, max_bytes: int) -> bytes:
        until = min(offset + max_bytes, self.size_bytes)
        self._fetch_until(until)
        return self._memory[offset : min(until, self._stored_bytes)]

    def _fetch_until(self, until: int) -> None:
        """Read the response until *until* bytes are stored or it ends."""
        if self._stored_bytes >= until or self._ended:
            return
        with self._fetcher.timed_wait():
            while self._stored_bytes < until:
                chunk = next(self._chunks, None)
                if chunk is None:
                    self._ended = True
                    return
                self._fetcher.record_received(len(chunk))
                fitting = chunk[: len(self._memory) - self._stored_bytes]
                self._memory[self._stored_bytes : self._stored_bytes + len(fitting)] = fitting
                self._stored_bytes += len(fitting)


def _check_file_size(size: int, limits: RemoteLimits) -> None:
    if size > limits.max_file_bytes:
        raise SourceRefused(
            f"The file at this URL has {size:,} bytes; up to {limits.max_file_bytes:,} are accepted.",
            code="too_large",
        )

"""Somebody else's file as a seekable file object: where ranges are allowed, only what a decoder asks for.

Where they are not, its beginning, fetched no further than the decoder asks and held in bounded memory.
"""

import mmap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from shared.domain.audio_format import SNIFF_BYTES, looks_like_audio, what_it_is
from shared.errors import SourceRefused, Undecodable
from shared.outbound.client import Outbound, ResponseStream
from shared.seekable_file import SeekableFile
from worker.jobs.run_attempt import OpenAudio
from worker.remote.fetcher import RangeFetcher, RemoteLimits
from worker.remote.http_range import Part, Version, bad_answer, changed, declared_bytes, part_of

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


FIRST_BYTES = 256 * 1024
"""Of a range after a jump. Who reads on is given more and more at once."""
MOST_BYTES = 1024 * 1024
_ALL_IN_ONE = 1 << 62


@contextmanager
def fetch(
    url: str,
    *,
    outbound: Outbound,
    limits: RemoteLimits,
    on_tick: Callable[[], None],
    count: Callable[[int], None],
) -> Iterator[OpenAudio]:
    """Open the file at an address. Every read may raise what this raises.

    Raises:
        SourceAway: its server may answer later.
        SourceRefused, TooComplex, Undecodable: another try can't help.
    """
    wire = RangeFetcher(url, outbound=outbound, limits=limits, on_tick=on_tick, fetched=count)
    with ExitStack() as stack:
        with wire.waiting():
            first = {"Range": f"bytes=0-{FIRST_BYTES - 1}"}
            incoming = stack.enter_context(wire.get(first, max_bytes=_ALL_IN_ONE))
            if incoming.status == 206:
                ranged = RangedAudio(wire, incoming)
        if incoming.status == 206:
            stack.close()
            yield OpenAudio(file=_require_audio(ranged), size_bytes=ranged.size_bytes)
            return
        spooled = stack.enter_context(SpooledAudio(wire, incoming))
        try:
            yield OpenAudio(file=_require_audio(spooled), size_bytes=declared_bytes(incoming.headers))
        except Undecodable as error:
            if not spooled.is_cut:
                raise
            raise Undecodable(
                f"{error.message} Its server allows no ranged requests, so that only the first "
                f"{spooled.size_bytes:,} bytes were looked at; upload the file instead.",
                code=error.code,
            ) from error


def _require_audio(audio: "_RemoteAudio") -> BinaryIO:
    if audio.size_bytes == 0:
        raise Undecodable("The file at this address is empty.", code="no_audio")
    head = audio.read(min(SNIFF_BYTES, audio.size_bytes)) or b""
    if not looks_like_audio(head):
        raise SourceRefused(
            f"What is at this address looks like {what_it_is(head)}; give the address of the sound itself.",
            code="unsupported_media",
        )
    audio.seek(0)
    return cast(BinaryIO, audio)


class _RemoteAudio(SeekableFile):
    """What both ways have in common: read piece by piece, until enough is read."""

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill the buffer as far as the file goes."""
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view) and self._at < self.size_bytes:
            piece = self._piece(self._at, len(view) - done)
            if not piece:
                break
            view[done : done + len(piece)] = piece
            done += len(piece)
            self._at += len(piece)
        return done

    def _piece(self, at: int, most: int) -> "bytes | memoryview":
        raise NotImplementedError


class RangedAudio(_RemoteAudio):
    """A file whose server gives any part of it, as long as it stays the same file."""

    def __init__(self, wire: RangeFetcher, incoming: ResponseStream) -> None:
        """*incoming*: the answer to a request for the first `FIRST_BYTES`."""
        super().__init__()
        self._wire = wire
        part = part_of(incoming.headers, first=0, last=FIRST_BYTES - 1)
        self._version = Version.of(incoming.headers, total=part.total)
        self.size_bytes = part.total
        _refuse_large(part.total, wire.limits)
        self._head = wire.read_whole(incoming, part.size)
        self._start, self._block = 0, self._head
        self._next_bytes = 2 * FIRST_BYTES

    def _piece(self, at: int, most: int) -> memoryview:
        if at < len(self._head):
            return memoryview(self._head)[at : at + most]
        if not self._start <= at < self._start + len(self._block):
            self._move(at)
        return memoryview(self._block)[at - self._start : at - self._start + most]

    def _move(self, at: int) -> None:
        """Fetch the block that begins at a position."""
        reads_on = at == self._start + len(self._block)
        size = self._next_bytes if reads_on else FIRST_BYTES
        last = min(at + size, self.size_bytes) - 1
        self._wire.afford(last - at + 1)
        self._block = b""  # two at once would be twice the memory
        with self._wire.waiting():
            self._block = self._fetched(at, last)
        self._start = at
        self._next_bytes = min(2 * size, MOST_BYTES)

    def _fetched(self, first: int, last: int) -> bytes:
        headers = {"Range": f"bytes={first}-{last}", **self._version.condition}
        try:
            with self._wire.get(headers, max_bytes=last - first + 1) as incoming:
                if incoming.status != 206:
                    raise (
                        changed() if self._version.condition else bad_answer("gave ranges, and then no more")
                    )
                part: Part = part_of(incoming.headers, first=first, last=last)
                if Version.of(incoming.headers, total=part.total) != self._version:
                    raise changed()
                return self._wire.read_whole(incoming, part.size)
        except SourceRefused as error:
            if error.code in ("no_audio", "source_not_found"):  # shorter by now, or taken away
                raise changed() from error
            raise


class SpooledAudio(_RemoteAudio):
    """The beginning of a file, from one answer that is read on as far as somebody asks."""

    def __init__(self, wire: RangeFetcher, incoming: ResponseStream) -> None:
        super().__init__()
        most = wire.limits.spool_bytes
        # untouched pages of it take no memory, and the decoder's process does not get it
        self._memory = mmap.mmap(-1, most, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_DONTFORK"):
            self._memory.madvise(mmap.MADV_DONTFORK)
        declared = declared_bytes(incoming.headers)
        _refuse_large(declared or 0, wire.limits)
        self._wire = wire
        self._chunks = incoming.chunks
        self._held = 0
        self._ended = False
        if declared is None:
            self._hold(most)
        self.size_bytes = self._held if declared is None else min(declared, most)
        self.is_cut = not self._ended if declared is None else declared > most

    def close(self) -> None:
        """Give the memory back."""
        super().close()
        self._memory.close()

    def _piece(self, at: int, most: int) -> bytes:
        until = min(at + most, self.size_bytes)
        self._hold(until)
        return self._memory[at : min(until, self._held)]

    def _hold(self, until: int) -> None:
        """Read on until so much of the file is held, or there is no more."""
        if self._held >= until or self._ended:
            return
        with self._wire.waiting():
            while self._held < until:
                chunk = next(self._chunks, None)
                if chunk is None:
                    self._ended = True
                    return
                self._wire.heard(len(chunk))
                kept = chunk[: len(self._memory) - self._held]
                self._memory[self._held : self._held + len(kept)] = kept
                self._held += len(kept)


def _refuse_large(size: int, limits: RemoteLimits) -> None:
    if size > limits.whole_bytes:
        raise SourceRefused(
            f"The file at this address has {size:,} bytes; up to {limits.whole_bytes:,} are taken.",
            code="too_large",
        )

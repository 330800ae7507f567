"""Requests to the server of a job's audio: bounded in bytes, in silence, and in time altogether.

What the server takes is counted; the time that a decoder takes between two reads is not.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from shared.errors import AddressRefused, SourceAway, SourceRefused, TooComplex, Unreachable
from shared.outbound.client import Outbound, ResponseStream
from worker.remote.http_range import bad_answer, refuse_status

_LONGEST_ANSWER_SECONDS = 1800.0
"""Of one answer, the decoder's pauses included; what the server takes of it is counted here."""
_USER_AGENT = "Kammerton-Sources/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteLimits:
    """What one attempt may ask of somebody else's server."""

    whole_bytes: int
    """Larger files are refused, however little of them is needed."""
    read_bytes: int
    """Fetched by ranges."""
    spool_bytes: int
    """Fetched and held, where there are no ranges."""
    seconds: float
    """Spent waiting, altogether."""
    silent_seconds: float
    """Without a first or a further byte."""
    allow_http: bool = False


class RangeFetcher:
    """The way to one address, for one attempt."""

    def __init__(
        self,
        url: str,
        *,
        outbound: Outbound,
        limits: RemoteLimits,
        on_tick: Callable[[], None],
        fetched: Callable[[int], None],
    ) -> None:
        """*on_tick* is called several times a second while we wait, *fetched* with each piece's size."""
        self.limits = limits
        self._url = url
        self._outbound = outbound
        self._on_tick = on_tick
        self._fetched = fetched
        self._fetched_bytes = 0
        self._waited = 0.0
        self._waits_since = self._heard_at = 0.0

    @contextmanager
    def get(self, headers: Mapping[str, str], *, max_bytes: int) -> Iterator[ResponseStream]:
        """An answer that is the file or a piece of it. Raises SourceAway, SourceRefused."""
        with self._outbound.open(
            "GET",
            self._url,
            headers={"User-Agent": _USER_AGENT, "Accept": "*/*", **headers},
            timeout_seconds=_LONGEST_ANSWER_SECONDS,
            max_bytes=max_bytes,
            allow_http=self.limits.allow_http,
            pulse=self._pulse,
        ) as incoming:
            refuse_status(incoming.status, incoming.headers, now=time.time())
            yield incoming

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Whatever waits for the server stands in here. Raises SourceAway for what may pass."""
        self._waits_since = self._heard_at = time.monotonic()
        try:
            yield
        except SourceAway:
            raise
        except (Unreachable, AddressRefused) as error:
            # a name that is not known just now and one that is private get the same patience: whoever
            # gave the address must not learn from ours which names there are inside
            code = "address_refused" if isinstance(error, AddressRefused) else "source_away"
            raise SourceAway(f"The address can't be fetched from. {error.message}", code=code) from error
        finally:
            self._waited += time.monotonic() - self._waits_since

    def heard(self, size: int) -> None:
        """So many bytes came."""
        self._heard_at = time.monotonic()
        self._fetched_bytes += size
        self._fetched(size)

    def afford(self, size: int) -> None:
        """Raise TooComplex unless so much more may be fetched by ranges."""
        if self._fetched_bytes + size > self.limits.read_bytes:
            raise TooComplex("The decoder asked for more of the file than one job may fetch.")

    def read_whole(self, incoming: ResponseStream, size: int) -> bytes:
        """All that a piece promised. Raises SourceRefused, Unreachable."""
        data = bytearray()
        for chunk in incoming.chunks:
            data += chunk
            self.heard(len(chunk))
            if len(data) > size:
                break
        if len(data) != size:
            raise bad_answer("sent another number of bytes than it said")
        return bytes(data)

    def _pulse(self) -> None:
        self._on_tick()
        now = time.monotonic()
        if now - self._heard_at > self.limits.silent_seconds:
            raise Unreachable("It did not answer in time.", code="timeout")
        if self._waited + now - self._waits_since > self.limits.seconds:
            raise SourceRefused(
                f"The address's server is too slow: {self.limits.seconds:.0f} s were not enough for what is "
                "needed of the file.",
                code="source_too_slow",
                retryable=True,
            )

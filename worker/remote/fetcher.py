"""HTTP requests to the server of a job's audio, limited in bytes, idle time and total time.

Only the time spent waiting for the server counts, not the time of the decoder between two reads.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from shared.clock import store_time
from shared.errors import AddressRefused, SourceRefused, SourceUnavailable, TooComplex, Unreachable
from shared.outbound.client import OutboundClient, ResponseStream
from worker.remote.http_range import bad_response, check_status

_MAX_RESPONSE_SECONDS = 1800.0
"""Of one response, pauses of the decoder included. `RangeFetcher` limits the server's part of it."""
_USER_AGENT = "Kammerton-Sources/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteLimits:
    """What one attempt may request from the server of a source URL."""

    max_file_bytes: int
    """Larger files are rejected, even if only a part is needed."""
    read_bytes: int
    """Total fetched with Range requests."""
    spool_bytes: int
    """Fetched and kept in memory if the server does not support Range requests."""
    timeout_seconds: float
    """Total time spent waiting."""
    idle_timeout_seconds: float
    """Time without a first or a next byte."""
    allow_http: bool = False


class RangeFetcher:
    """Sends the requests of one attempt to one URL."""

    def __init__(
        self,
        url: str,
        *,
        outbound: OutboundClient,
        limits: RemoteLimits,
        on_tick: Callable[[], None],
        on_bytes: Callable[[int], None],
    ) -> None:
        """Call *on_tick* several times a second while waiting, and *on_bytes* with the size of each chunk."""
        self.limits = limits
        self._url = url
        self._outbound = outbound
        self._on_tick = on_tick
        self._on_bytes = on_bytes
        self._received_bytes = 0
        self._waited = 0.0
        self._wait_started = self._last_received = 0.0

    @contextmanager
    def get(self, headers: Mapping[str, str], *, max_bytes: int) -> Iterator[ResponseStream]:
        """Open a response that is the file or a range of it. Raises SourceUnavailable, SourceRefused."""
        with self._outbound.stream(
            "GET",
            self._url,
            headers={"User-Agent": _USER_AGENT, "Accept": "*/*", **headers},
            timeout_seconds=_MAX_RESPONSE_SECONDS,
            max_bytes=max_bytes,
            allow_http=self.limits.allow_http,
            on_wait=self._check_timeouts,
        ) as response:
            check_status(response.status, response.headers, now=store_time())
            yield response

    @contextmanager
    def timed_wait(self) -> Iterator[None]:
        """Count the time in this context as waiting. Raises SourceUnavailable for temporary failures."""
        self._wait_started = self._last_received = time.monotonic()
        try:
            yield
        except SourceUnavailable:
            raise
        except (Unreachable, AddressRefused) as error:
            # An unknown name and a private one are retried alike, so that the caller can't find out
            # which internal names exist.
            code = "address_refused" if isinstance(error, AddressRefused) else "source_away"
            raise SourceUnavailable(f"The URL can't be fetched. {error.message}", code=code) from error
        finally:
            self._waited += time.monotonic() - self._wait_started

    def record_received(self, size: int) -> None:
        """Record *size* received bytes."""
        self._last_received = time.monotonic()
        self._received_bytes += size
        self._on_bytes(size)

    def check_read_limit(self, size: int) -> None:
        """Raise TooComplex if *size* more bytes exceed the limit for Range requests."""
        if self._received_bytes + size > self.limits.read_bytes:
            raise TooComplex(
                "The decoder needs more of the file than one job can fetch. Cut the file, then try again."
            )

    def read_exactly(self, response: ResponseStream, size: int) -> bytes:
        """Read a body of exactly *size* bytes. Raises SourceRefused, Unreachable."""
        data = bytearray()
        for chunk in response.chunks:
            data += chunk
            self.record_received(len(chunk))
            if len(data) > size:
                break
        if len(data) != size:
            raise bad_response("sent a different number of bytes than it declared")
        return bytes(data)

    def _check_timeouts(self) -> None:
        self._on_tick()
        now = time.monotonic()
        if now - self._last_received > self.limits.idle_timeout_seconds:
            raise Unreachable("It did not answer in time.", code="timeout")
        if self._waited + now - self._wait_started > self.limits.timeout_seconds:
            raise SourceRefused(
                f"The server of the URL is too slow: the needed part of the file took more than "
                f"{self.limits.timeout_seconds:.0f} s. Upload the file instead.",
                code="source_too_slow",
                retryable=True,
            )

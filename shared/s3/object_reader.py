"""Reads one S3 object as a seekable file.

Sequential reads share one ranged GET, because each GET costs an S3 server as much as megabytes: SeaweedFS
reads a whole chunk of 8 MiB to answer a range of any size.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError
from botocore.response import StreamingBody

from shared.errors import Unavailable
from shared.s3.client import status_of, translate_s3_errors
from shared.seekable_file import SeekableFile

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

READ_TIMEOUT_SECONDS = 60.0
"""Of one read, which then returns what has arrived. The timeout of the client is for each receive, and
storage can send a byte at a time."""
MIN_BYTES_PER_SECOND = 1024
"""Storage that sends less during a whole read is unavailable."""

FIRST_RANGE_BYTES = 5 << 20
"""Holds a minute of MP3 at 320 kbit/s and what is read ahead of it: most jobs need one GET, and one for the
end of the file."""
_SEEK_RANGE_BYTES = 512 << 10
"""After a seek. Formats with their index at the end seek a few times."""
_MAX_RANGE_BYTES = 8 << 20
_SKIP_BYTES = 256 << 10
"""Up to this many bytes are skipped by reading them, which is cheaper than another GET."""
_RECEIVE_BYTES = 256 << 10
_MAX_RESPONSES = 2


@dataclass(slots=True, eq=False)
class _Response:
    """What is left of the response to one GET."""

    body: StreamingBody
    offset: int
    """Of the next byte that the body gives."""
    end: int
    range_bytes: int
    """The size of the range that was asked for."""

    def leads_to(self, offset: int) -> bool:
        """Whether the bytes at *offset* come next, or soon."""
        return offset < self.end and 0 <= offset - self.offset <= _SKIP_BYTES


class ObjectReader(SeekableFile):
    """One object. Opening it sends the first GET; each further GET doubles the range, up to 8 MiB.

    Keeps the response before a seek, because decoders look at the end of a file and then go on.
    """

    def __init__(
        self,
        client: "S3Client",
        bucket: str,
        name: str,
        *,
        read_timeout_seconds: float = READ_TIMEOUT_SECONDS,
        on_read: Callable[[int], None] = lambda _: None,
    ) -> None:
        """*on_read* gets the number of bytes of each receive.

        Raises:
            AudioMissing, Unavailable: the object does not exist, or storage is unavailable.
        """
        super().__init__()
        self._client = client
        self._bucket = bucket
        self._name = name
        self._read_timeout_seconds = read_timeout_seconds
        self._on_read = on_read
        self._responses: list[_Response] = []
        """The one that was used last is the first."""
        self._seen: tuple[str | None, int] | None = None
        """ETag and size of the object, from the first response."""
        with translate_s3_errors():
            self.size_bytes = self._request(0, FIRST_RANGE_BYTES)

    def readall(self) -> bytes:
        """Return the rest of the object. The method of `io` would read 8 KiB at a time."""
        rest = bytearray(max(0, self.size_bytes - self._position))
        received = 0
        while count := self.readinto(memoryview(rest)[received:]):
            received += count
        return bytes(memoryview(rest)[:received])

    def close(self) -> None:
        """Close the connections of responses that are unread; the client keeps the others."""
        while self._responses:
            self._drop(self._responses[0])
        super().close()

    def _read_into(self, view: memoryview, offset: int) -> int:
        """Fill *view*, as far as the time allows. Raises AudioMissing, Unavailable."""
        received = 0
        deadline = time.monotonic() + self._read_timeout_seconds
        retried = False
        with translate_s3_errors():
            while received < len(view):
                try:
                    chunk = self._receive(offset + received, len(view) - received)
                except (BotoCoreError, OSError):
                    self._drop_first()
                    if retried or time.monotonic() > deadline:
                        raise
                    retried = True  # a response can break off, for example if storage restarts
                    continue
                view[received : received + len(chunk)] = chunk
                received += len(chunk)
                if received < len(view) and time.monotonic() > deadline:
                    if received >= MIN_BYTES_PER_SECOND * max(1.0, self._read_timeout_seconds):
                        break
                    self._drop_first()
                    raise Unavailable("The audio storage responds too slowly. Try again later.")
        return received

    def _receive(self, offset: int, max_bytes: int) -> bytes:
        """Return the bytes of one receive at *offset*, at least one."""
        response = self._response_at(offset)
        chunk = response.body.read(min(max_bytes, _RECEIVE_BYTES, response.end - offset))
        response.offset += len(chunk)
        self._on_read(len(chunk))
        if not chunk:
            raise OSError("the response ended early")
        return chunk

    def _response_at(self, offset: int) -> _Response:
        """A response whose next byte is the one at *offset*. Sends a GET if there is none."""
        response = next((each for each in self._responses if each.leads_to(offset)), None)
        if response is None:
            before = next((each for each in self._responses if each.end == offset > 0), None)
            if before is not None or len(self._responses) == _MAX_RESPONSES:
                self._drop(before or self._responses[-1])
            self._request(
                offset, min(2 * before.range_bytes, _MAX_RANGE_BYTES) if before else _SEEK_RANGE_BYTES
            )
            response = self._responses[0]
        self._responses.remove(response)
        self._responses.insert(0, response)
        while response.offset < offset:
            skipped = response.body.read(offset - response.offset)
            response.offset += len(skipped)
            self._on_read(len(skipped))
            if not skipped:
                raise OSError("the response ended early")
        return response

    def _request(self, offset: int, range_bytes: int) -> int:
        """Send a GET for the range at *offset*. Returns the size of the whole object."""
        try:
            response = self._client.get_object(
                Bucket=self._bucket,
                Key=self._name,
                Range=f"bytes={offset}-{offset + range_bytes - 1}",
            )
        except ClientError as error:
            if status_of(error) == 416 and offset == 0:  # no range of an empty object can be satisfied
                return 0
            raise
        total = response.get("ContentRange", "").rpartition("/")[2]
        size_bytes = int(total) if total.isdigit() else offset + response["ContentLength"]
        self._check(offset, size_bytes, response)
        raw = response["Body"]
        # `read1` returns what one receive gives. The `read` of botocore waits until its buffer is full,
        # however long that takes.
        stream = SimpleNamespace(read=raw._raw_stream.read1, close=raw.close)  # type: ignore[attr-defined] # its stubs hide it
        self._responses.insert(
            0,
            _Response(
                body=StreamingBody(cast(Any, stream), response["ContentLength"]),
                offset=offset,
                end=offset + response["ContentLength"],
                range_bytes=range_bytes,
            ),
        )
        return size_bytes

    def _check(self, offset: int, size_bytes: int, response: "GetObjectOutputTypeDef") -> None:
        """Raise Unavailable if storage answers with another range, or another object, than before."""
        first = response.get("ContentRange", f"bytes {offset}-").removeprefix("bytes ").partition("-")[0]
        seen = (response.get("ETag"), size_bytes)
        if first != str(offset) or (self._seen is not None and seen != self._seen):
            response["Body"].close()
            raise Unavailable("The audio storage sent something else than was asked for. Try again later.")
        self._seen = seen

    def _drop(self, response: _Response) -> None:
        response.body.close()
        self._responses.remove(response)

    def _drop_first(self) -> None:
        if self._responses:
            self._drop(self._responses[0])

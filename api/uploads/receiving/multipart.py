"""Parses a multipart form as it arrives: keeps small fields, and passes on the bytes of its one `file`.

Refuses two files, a missing file, long fields, and bytes that are not a form.
"""

import re
from collections import deque
from collections.abc import AsyncIterator
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from shared.errors import BadRequest

FILE = "file"
_MAX_PARTS = 20
_MAX_FIELD_BYTES = 16 * 1024
_MAX_HEADER_BYTES = 16 * 1024
_MAX_PREAMBLE_BYTES = 16 * 1024
_EXTENDED_FILENAME = re.compile(
    rb";\s*filename\*\s*=\s*(utf-8|iso-8859-1)'[^'\";]*'([^\s;\"]+)", re.IGNORECASE
)


class FormReader:
    """Reads a form. `fields` are complete when `file_chunks` has ended."""

    def __init__(self, boundary: bytes, chunks: AsyncIterator[bytes]) -> None:
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self.media_type: str | None = None
        self._chunks = chunks
        self._delimiter = b"--" + boundary
        self._preamble: bytearray | None = bytearray()
        self._file_found = False
        self._complete = False
        self._parts = 0
        self._file_data: deque[bytes] = deque()
        self._header_field = b""
        self._header_value = b""
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._value = bytearray()
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_begin": self._on_header_begin,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
                max_header_size=_MAX_HEADER_BYTES,
            )
        except FormParserError as error:
            raise BadRequest("The form's boundary is too long. Let your client choose it.") from error

    async def reach_file(self) -> None:
        """Read as far as the headers of the file. Raises BadRequest."""
        while not self._file_found:
            if not await self._read():
                raise BadRequest("The form has no `file` field. Send the audio in it.", code="no_file")

    async def file_chunks(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the file, then read the fields after it. Raises BadRequest."""
        while True:
            while self._file_data:
                yield self._file_data.popleft()
            if not await self._read():
                return

    async def _read(self) -> bool:
        """Parse one more chunk. Returns False at the end of a complete form."""
        chunk = await anext(self._chunks, None)
        if chunk is None:
            if not self._complete:
                raise BadRequest(
                    "The form ends too early, or its boundary is not the one in Content-Type.",
                    code="bad_form",
                )
            return False
        try:
            self._parser.write(self._skip_preamble(chunk))
        except FormParserError as error:
            raise BadRequest("The body is not a valid multipart form.", code="bad_form") from error
        return True

    def _skip_preamble(self, chunk: bytes) -> bytes:
        """What of the body is behind the preamble, which RFC 2046 allows before the first boundary."""
        if self._preamble is None:
            return chunk
        self._preamble += chunk
        start = (
            0
            if self._preamble.startswith(self._delimiter)
            else self._preamble.find(b"\r\n" + self._delimiter)
        )
        if start >= 0:
            body = bytes(self._preamble[start:]).removeprefix(b"\r\n")
            self._preamble = None
            return body
        if len(self._preamble) > _MAX_PREAMBLE_BYTES:
            raise BadRequest(
                "The form doesn't begin with the boundary of its Content-Type. Let your client set that.",
                code="bad_form",
            )
        return b""

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise BadRequest(f"The form has more than {_MAX_PARTS} fields. Send fewer.", code="bad_form")
        self._headers = {}
        self._value.clear()

    def _on_header_begin(self) -> None:
        self._header_field = self._header_value = b""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_field += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._header_field.lower()] = self._header_value

    def _on_headers_finished(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"")
        _, options = parse_options_header(disposition)
        self._name = options.get(b"name", b"").decode(errors="replace")
        if self._name != FILE:
            return
        if self._file_found:
            raise BadRequest("Only one `file` field is allowed per request.", code="two_files")
        self._file_found = True
        self.filename = _extended_filename(disposition) or (
            options.get(b"filename", b"").decode(errors="replace") or None
        )
        self.media_type = self._headers.get(b"content-type", b"").decode("latin-1") or None

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == FILE:
            self._file_data.append(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > _MAX_FIELD_BYTES:
            raise BadRequest("A field of the form is too long. Send the audio in `file`.", code="bad_form")

    def _on_part_end(self) -> None:
        if self._name != FILE:
            self.fields[self._name] = self._value.decode(errors="replace")

    def _on_end(self) -> None:
        self._complete = True


def _extended_filename(disposition: bytes) -> str | None:
    """Return the `filename*` of RFC 8187, which has any character, or None."""
    found = _EXTENDED_FILENAME.search(disposition)
    if found is None:
        return None
    return unquote_to_bytes(found.group(2)).decode(found.group(1).decode(), errors="replace")

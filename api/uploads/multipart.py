"""A multipart form as it streams in: small fields kept, the bytes of its one `file` passed on.

Refuses two files, no file, fields that are no small text, and bytes that are no such form.
"""

from collections.abc import AsyncIterator

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from shared.errors import BadRequest

FILE = "file"
_MOST_PARTS = 20
_LONGEST_FIELD_BYTES = 16 * 1024
_LONGEST_HEADER_BYTES = 16 * 1024


class FormReader:
    """Feed it chunks of a body; `fields` are complete when `file_chunks` has ended."""

    def __init__(self, boundary: bytes, incoming: AsyncIterator[bytes]) -> None:
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self.media_type: str | None = None
        self._incoming = incoming
        self._file_found = False
        self._ended = False
        self._parts = 0
        self._ready: list[bytes] = []
        self._header_field = b""
        self._header_value = b""
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._value = bytearray()
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._part_begins,
                    "on_header_begin": self._header_begins,
                    "on_header_field": self._header_field_data,
                    "on_header_value": self._header_value_data,
                    "on_header_end": self._header_ends,
                    "on_headers_finished": self._headers_finished,
                    "on_part_data": self._part_data,
                    "on_part_end": self._part_ends,
                    "on_end": self._form_ends,
                },
                max_header_size=_LONGEST_HEADER_BYTES,
            )
        except FormParserError as error:
            raise BadRequest("The form's boundary is too long; let your client choose it.") from error

    async def reach_file(self) -> None:
        """Read as far as the headers of the file. Raises BadRequest."""
        while not self._file_found:
            if not await self._read():
                raise BadRequest("The form has no `file` field; send the audio as one.", code="no_file")

    async def file_chunks(self) -> AsyncIterator[bytes]:
        """The bytes of the file, then whatever fields come after it. Raises BadRequest."""
        while True:
            ready, self._ready = self._ready, []
            for chunk in ready:
                yield chunk
            if not ready and not await self._read():
                return

    async def _read(self) -> bool:
        """Parse one more chunk; False at the end of a whole form."""
        chunk = await anext(self._incoming, None)
        if chunk is None:
            if not self._ended:
                raise BadRequest(
                    "The form ends too early, or its boundary is not the one that Content-Type names.",
                    code="bad_form",
                )
            return False
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise BadRequest(
                "The body is not the form that its Content-Type says.", code="bad_form"
            ) from error
        return True

    def _part_begins(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise BadRequest(f"The form has more than {_MOST_PARTS} fields.", code="bad_form")
        self._headers = {}
        self._value.clear()

    def _header_begins(self) -> None:
        self._header_field = self._header_value = b""

    def _header_field_data(self, data: bytes, start: int, end: int) -> None:
        self._header_field += data[start:end]

    def _header_value_data(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_ends(self) -> None:
        self._headers[self._header_field.lower()] = self._header_value

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._name = options.get(b"name", b"").decode(errors="replace")
        if self._name != FILE:
            return
        if self._file_found:
            raise BadRequest("The form has two `file` fields; send one file a job.", code="two_files")
        self._file_found = True
        self.filename = options.get(b"filename", b"").decode(errors="replace") or None
        self.media_type = self._headers.get(b"content-type", b"").decode("latin-1") or None

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == FILE:
            self._ready.append(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > _LONGEST_FIELD_BYTES:
            raise BadRequest("A field of the form is too long; audio goes into `file`.", code="bad_form")

    def _part_ends(self) -> None:
        if self._name != FILE:
            self.fields[self._name] = self._value.decode(errors="replace")

    def _form_ends(self) -> None:
        self._ended = True

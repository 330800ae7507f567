"""Parses and writes the headers of tus 1.0."""

import base64
import binascii
from typing import Annotated

from fastapi import Header

from api.tus.protocol import VERSION
from shared.errors import BadRequest, UnsupportedVersion

CHUNK = "application/offset+octet-stream"
_MAX_METADATA_BYTES = 8 * 1024
_MAX_DIGITS = 18

TusResumable = Annotated[str | None, Header(description=f"`{VERSION}`.", examples=[VERSION])]


def require_version(version: str | None) -> None:
    """Raise UnsupportedVersion unless the client speaks tus 1.0."""
    if version != VERSION:
        raise UnsupportedVersion(f"Send Tus-Resumable: {VERSION}. This server supports no other version.")


def parse_size(name: str, text: str | None) -> int | None:
    """Parse Upload-Length or Upload-Offset: digits only. Raises BadRequest."""
    if text is None:
        return None
    text = text.strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS):
        raise BadRequest(f"{name} must be a number of bytes, in digits.")
    return int(text)


def parse_metadata(header: str) -> dict[str, str]:
    """Parse Upload-Metadata: pairs of a key and base64, separated by commas. Raises BadRequest."""
    if len(header) > _MAX_METADATA_BYTES:
        raise BadRequest(f"Upload-Metadata is longer than {_MAX_METADATA_BYTES:,} bytes.")
    metadata = {}
    for pair in header.split(","):
        key, _, value = pair.strip().partition(" ")
        try:
            metadata[key] = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise BadRequest(
                "Upload-Metadata is malformed. Send each key with a space and the base64 of UTF-8 text."
            ) from error
    return metadata

"""The checksum extension of tus: Upload-Checksum."""

import base64
import binascii
import hashlib
from dataclasses import dataclass

from shared.errors import BadRequest, ChecksumMismatch

CHECKSUM_ALGORITHMS = ("sha1", "sha256", "sha512")


@dataclass(frozen=True, slots=True)
class Checksum:
    """The Upload-Checksum of one request's body."""

    hash: "hashlib._Hash"
    """Updated with the body as it arrives."""
    expected: bytes

    @classmethod
    def parse(cls, header: str | None) -> "Checksum | None":
        """Parse `sha1 <base64>`. Raises BadRequest."""
        if header is None:
            return None
        algorithm, _, text = header.strip().partition(" ")
        if algorithm not in CHECKSUM_ALGORITHMS:
            names = ", ".join(CHECKSUM_ALGORITHMS)
            raise BadRequest(f"Unsupported checksum algorithm. Use one of {names}.", code="bad_checksum")
        empty = hashlib.new(algorithm, usedforsecurity=False)
        try:
            expected = base64.b64decode(text.strip(), validate=True)
        except binascii.Error:
            expected = b""
        if len(expected) != empty.digest_size:
            raise BadRequest("Upload-Checksum is malformed. Send sha1 <base64>.", code="bad_checksum")
        return cls(empty, expected)

    def verify(self) -> None:
        """Raise ChecksumMismatch unless the body is as the client sent it."""
        if self.hash.digest() != self.expected:
            raise ChecksumMismatch("Upload-Checksum mismatch: the bytes were discarded. Send them again.")

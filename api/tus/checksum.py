"""The checksum extension of tus, Upload-Checksum, and Content-Digest (RFC 9530) of the same bodies."""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from api.uploads.receiving.content_digest import ContentDigest
from shared.errors import BadRequest, ChecksumMismatch

CHECKSUM_ALGORITHMS = ("sha1", "sha256", "sha512")


@dataclass(frozen=True, slots=True)
class Checksum:
    """The Upload-Checksum of one request's body."""

    hash: "hashlib._Hash"
    expected: bytes

    @classmethod
    def parse(cls, header: str) -> "Checksum":
        """Parse `sha1 <base64>`. Raises BadRequest."""
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

    def update(self, data: bytes, /) -> None:
        """Hash the next bytes of the body."""
        self.hash.update(data)

    def verify(self) -> None:
        """Raise ChecksumMismatch unless the body is as the client sent it."""
        if self.hash.digest() != self.expected:
            raise ChecksumMismatch("Upload-Checksum mismatch: the bytes were discarded. Send them again.")


class BodyChecks:
    """All that a client declares of one request's body. Hashes the body, and compares."""

    def __init__(self, checks: Sequence[Checksum | ContentDigest]) -> None:
        self._checks = checks

    @classmethod
    def parse(cls, upload_checksum: str | None, content_digest: Sequence[str]) -> "BodyChecks | None":
        """Parse Upload-Checksum and every Content-Digest. None if there is neither. Raises BadRequest."""
        checks: list[Checksum | ContentDigest] = []
        if upload_checksum is not None:
            checks.append(Checksum.parse(upload_checksum))
        digest = ContentDigest(content_digest)
        if digest:
            checks.append(digest)
        return cls(checks) if checks else None

    def update(self, data: bytes, /) -> None:
        """Hash the next bytes of the body."""
        for check in self._checks:
            check.update(data)

    def verify(self) -> None:
        """Raise ChecksumMismatch or BadRequest unless the body is as the client sent it."""
        for check in self._checks:
            check.verify()

"""Content-Digest (RFC 9530). `http-sfv` parses it too, but has no type hints, and we need one field only."""

import base64
import binascii
import hashlib
from collections.abc import Sequence

from shared.errors import BadRequest

_ALGORITHMS = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}

CONTENT_DIGEST = {
    "name": "Content-Digest",
    "in": "header",
    "schema": {"type": "string"},
    "description": "SHA-256 or SHA-512 of the body (RFC 9530), checked: `sha-256=:<base64>:`.",
}


class ContentDigest:
    """The digests that a client declares of its body. Hashes the body, and compares."""

    def __init__(self, lines: Sequence[str]) -> None:
        """Parse all lines of the field. Ignores other algorithms. Raises BadRequest."""
        self._expected: dict[str, bytes] = {}
        for member in ",".join(lines).split(","):
            name, _, value = member.partition(";")[0].strip().partition("=")
            if name.lower() in _ALGORITHMS:
                self._expected[name.lower()] = _parse_value(name.lower(), value.strip())
        self._hashes = {name: _ALGORITHMS[name]() for name in self._expected}

    def __bool__(self) -> bool:
        """Whether there is a digest of an algorithm that we know."""
        return bool(self._expected)

    def update(self, data: bytes, /) -> None:
        """Hash the next bytes of the body."""
        for digest in self._hashes.values():
            digest.update(data)

    def verify(self) -> None:
        """Raise BadRequest unless the body has all declared digests."""
        if any(self._hashes[name].digest() != expected for name, expected in self._expected.items()):
            raise BadRequest(
                "Content-Digest mismatch: the received bytes do not match. Retry the upload.",
                code="digest_mismatch",
            )


def _parse_value(algorithm: str, value: str) -> bytes:
    try:
        digest = base64.b64decode(value.removeprefix(":").removesuffix(":"), validate=True)
    except binascii.Error:
        digest = b""
    size = _ALGORITHMS[algorithm]().digest_size
    if len(digest) != size:
        raise BadRequest(
            f"Content-Digest is malformed. Send {algorithm}=:<base64 of {size} bytes>:.", code="bad_digest"
        )
    return digest

"""Content-Digest (RFC 9530). `http-sfv` parses it too, but has no type hints, and we need one field only."""

import base64
import hashlib

from shared.errors import BadRequest

CONTENT_DIGEST = {
    "name": "Content-Digest",
    "in": "header",
    "schema": {"type": "string"},
    "description": "SHA-256 of the body (RFC 9530), checked: `sha-256=:<base64>:`.",
}


def parse_sha256(content_digest: str | None) -> str | None:
    """Return the SHA-256 of a Content-Digest field in hexadecimal, if it has one. Raises BadRequest."""
    for member in (content_digest or "").split(","):
        name, _, value = member.strip().partition("=")
        if name.lower() != "sha-256":
            continue
        try:
            digest = base64.b64decode(value.strip().removeprefix(":").removesuffix(":"), validate=True)
        except ValueError:
            digest = b""
        if len(digest) != hashlib.sha256().digest_size:
            raise BadRequest(
                "Content-Digest is malformed. Send sha-256=:<base64 of 32 bytes>:.", code="bad_digest"
            )
        return digest.hex()
    return None


def require_match(expected: str | None, actual: str) -> None:
    """Raise BadRequest unless the received bytes have the expected digest."""
    if expected is not None and expected != actual:
        raise BadRequest(
            "Content-Digest mismatch: the received bytes do not match. Retry the upload.",
            code="digest_mismatch",
        )

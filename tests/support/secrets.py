"""Finds known secrets in a log: as they are, and as addresses, JSON and base64 write them."""

import base64
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

SHORTEST = 8
"""Characters. Shorter forms appear in logs by chance."""


def lines_with_secrets(log: Path, secrets: Iterable[str]) -> list[str]:
    """Each line of the log that holds a secret in any form, as `file:line number: secret`."""
    found = []
    forms = {form: secret for secret in secrets for form in forms_of(secret)}
    for number, line in enumerate(log.read_bytes().splitlines(), start=1):
        found += [f"{log}:{number}: {secret}" for form, secret in forms.items() if form in line]
    return found


def forms_of(secret: str) -> set[bytes]:
    """The ways to write a secret."""
    raw = secret.encode()
    forms = {raw, quote(secret).encode(), quote(secret, safe="").encode(), quote_plus(secret).encode()}
    forms |= {json.dumps(secret, ensure_ascii=ascii_only)[1:-1].encode() for ascii_only in (True, False)}
    forms |= set(_in_base64(raw))
    return {form for form in forms if len(form) >= SHORTEST}


def _in_base64(raw: bytes) -> Iterator[bytes]:
    """What is the same in the base64 of any text that contains it, such as `user:password`."""
    for lead, dropped in ((0, 0), (1, 2), (2, 3)):
        encoded = base64.b64encode(bytes(lead) + raw)[dropped : (lead + len(raw)) // 3 * 4]
        yield encoded
        yield encoded.replace(b"+", b"-").replace(b"/", b"_")

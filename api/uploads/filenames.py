"""File names from clients, made safe to store, to log and to show."""

import re
import unicodedata

_MAX_LENGTH = 200


def clean_filename(raw: str | None) -> str | None:
    """Return the last path component without control characters, at most 200 characters; None if empty."""
    if raw is None:
        return None
    last = re.split(r"[/\\]", raw)[-1]
    plain = "".join(char for char in last if unicodedata.category(char)[0] != "C").strip()
    if len(plain) > _MAX_LENGTH:
        stem, dot, ending = plain.rpartition(".")
        keep = _MAX_LENGTH - len(dot + ending)
        plain = stem[:keep] + dot + ending if dot and keep > _MAX_LENGTH // 2 else plain[:_MAX_LENGTH]
    return plain or None

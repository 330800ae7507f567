"""What a client calls its file, made safe to keep, to log and to show."""

import re
import unicodedata

_LONGEST = 200


def clean_filename(given: str | None) -> str | None:
    """The last path component without control characters, at most 200 characters; None if nothing is left."""
    if given is None:
        return None
    last = re.split(r"[/\\]", given)[-1]
    plain = "".join(char for char in last if unicodedata.category(char)[0] != "C").strip()
    if len(plain) > _LONGEST:
        stem, dot, ending = plain.rpartition(".")
        keep = _LONGEST - len(dot + ending)
        plain = stem[:keep] + dot + ending if dot and keep > _LONGEST // 2 else plain[:_LONGEST]
    return plain or None

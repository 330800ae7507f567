"""Cursors of lists that a sorted set orders by time."""

import math

from shared.errors import BadRequest


def format_cursor(score: float, member: str) -> str:
    """Where a page ended: the score and the id of its last entry."""
    return f"{score!r}:{member}"


def parse_cursor(cursor: str) -> tuple[float, str]:
    """The score and the id in a cursor. Raises BadRequest unless `format_cursor` could have written it."""
    score, _, member = cursor.partition(":")
    try:
        value = float(score)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or not member:
        raise BadRequest("The cursor is invalid. Start again without a cursor.")
    return value, member

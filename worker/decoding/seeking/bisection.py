"""Finds a place by time among marks that carry their time, such as blocks and fragments, with few reads."""

from collections.abc import Callable
from dataclasses import dataclass

_MAX_PROBES = 16
_NEAR_BYTES = 300_000
"""A mark so close before the wanted one is near enough: a read fetches about as much."""
_MARGIN_SECONDS = 1.0
_SEARCH_BYTES = 8 << 20
"""Of one probe. Fragments of video have some megabytes each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A place where decoding can begin."""

    offset: int
    seconds: float


FindMark = Callable[[int, int], Mark | None]
"""Returns the first mark whose offset is in a range, None if there is none."""


def find_mark_before(find: FindMark, *, first: Mark, second: Mark, end: int, target: float) -> Mark:
    """Return a mark at or before *target* seconds, as near to it as a few probes find.

    Args:
        find: reads the file.
        first: the first mark of the file.
        second: a later one, which tells how many bytes a second takes.
        end: size of the file.
        target: seconds, as marks count them.
    """
    low, high, back = first, end, 0
    rate = (second.offset - first.offset) / max(1e-3, second.seconds - first.seconds)
    if first.seconds < second.seconds <= target:
        low = second
    for _ in range(_MAX_PROBES):
        ahead = int((target - _MARGIN_SECONDS - low.seconds) * rate) - back
        if ahead < _NEAR_BYTES or high - low.offset < _NEAR_BYTES:
            break
        guess = low.offset + ahead
        if guess >= high:
            guess = (low.offset + high) // 2
        found = find(guess, min(high, guess + _SEARCH_BYTES))
        if found is not None and low.seconds < found.seconds <= target:
            rate = (found.offset - low.offset) / (found.seconds - low.seconds)
            low, back = found, 0
            continue
        high = guess
        if found is not None and found.seconds > target:
            rate = (found.offset - low.offset) / (found.seconds - low.seconds)
        back += _NEAR_BYTES // 2
    return low

"""A point of a recording where decoding can begin."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where decoders begin, and what they get before that."""

    offset: int
    seconds: float
    """From the beginning of the recording."""
    head: bytes = b""
    """What decoders are given before the offset, such as the header of the file."""
    is_estimated: bool = False
    """Whether *seconds* come from an index that has a hundred entries or so for the whole recording."""

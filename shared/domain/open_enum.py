"""Enums whose records may hold values of newer versions, which are kept and shown as they are. Pure."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import Self

_reading = ContextVar("reading_records", default=False)


class OpenEnum(StrEnum):
    """A StrEnum that accepts unknown values inside `reading_records`, and only there."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not _reading.get() or not isinstance(value, str):
            return None
        unknown = str.__new__(cls, value)
        unknown._name_ = unknown._value_ = value
        return unknown

    @property
    def is_known(self) -> bool:
        """Whether this version knows the value."""
        return self._name_ in type(self).__members__


@contextmanager
def reading_records() -> Iterator[None]:
    """Accept values of newer versions while a record is parsed."""
    token = _reading.set(True)
    try:
        yield
    finally:
        _reading.reset(token)

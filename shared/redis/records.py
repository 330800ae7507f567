"""Reads and writes records as JSON, so that two versions of the service can run side by side.

A record may come from a newer version: unknown fields are kept when it is written again, and unknown states
and events are kept and shown as they are.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from typing import Any, Generic, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from shared.domain.open_enum import reading_records
from shared.errors import UnreadableRecord
from shared.observability.logs import get_logger

_log = get_logger(__name__)

FORMAT = 2
"""Written into each record. 1, or none: version 0.1."""
_FORMAT_FIELD = "format"

_MAX_LOGGED = 1000
_logged: set[str] = set()


class Extensible(Protocol):
    """A frozen dataclass that keeps what it does not know."""

    @property
    def unknown_fields(self) -> str:
        """JSON of the fields that this version does not know; empty if there are none."""


R = TypeVar("R", bound=Extensible)
T = TypeVar("T")


class RecordCodec(Generic[R]):
    """Converts one type of record. Threads can share it."""

    def __init__(self, kind: type[R]) -> None:
        self._name = kind.__name__.lower()
        self._adapter: TypeAdapter[R] = TypeAdapter(kind)
        self._known = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # a dataclass, see Extensible

    def dump(self, record: R) -> str:
        """The JSON of a record, with the unknown fields that it was read with, but without defaults."""
        values: dict[str, Any] = self._adapter.dump_python(record, mode="json", exclude_defaults=True)
        unknown = values.pop("unknown_fields", "")
        values[_FORMAT_FIELD] = FORMAT
        if unknown:
            values |= json.loads(unknown)
        return json.dumps(values, ensure_ascii=False, separators=(",", ":"))

    def load(self, text: str) -> R:
        """The record of a JSON text. Raises UnreadableRecord."""
        try:
            values = json.loads(text)
            unknown = {name: value for name, value in values.items() if name not in self._known}
            unknown.pop(_FORMAT_FIELD, None)
            values.pop("unknown_fields", None)
            with reading_records():
                record = self._adapter.validate_python(values)
        except (ValueError, AttributeError) as error:
            raise UnreadableRecord(f"The record of this {self._name} can't be read.") from error
        if not unknown:
            return record
        return replace(record, unknown_fields=json.dumps(unknown, separators=(",", ":")))  # type: ignore[type-var]


def load_all(load: Callable[[str], T], texts: Iterable[tuple[str, str | None]]) -> dict[str, T]:
    """The readable records of (id, JSON) pairs. Unreadable ones are logged and skipped."""
    found: dict[str, T] = {}
    for record_id, text in texts:
        if text is None:
            continue
        try:
            found[record_id] = load(text)
        except (UnreadableRecord, ValidationError) as error:
            log_unreadable(record_id, error)
    return found


def log_unreadable(record_id: str, error: Exception) -> None:
    """Log an unreadable record, once for each process."""
    if record_id in _logged or len(_logged) >= _MAX_LOGGED:
        return
    _logged.add(record_id)
    _log.error("record_unreadable", record_id=record_id, reason=str(error.__cause__ or error)[:500])

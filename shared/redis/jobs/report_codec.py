"""Packs reports: the charts' numbers as deltas in bytes, then everything compressed: a fifth of the JSON."""

import json
import zlib
from array import array
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from shared.domain.open_enum import reading_records
from shared.domain.report import Report
from shared.errors import UnreadableRecord
from shared.redis.compression import REPORT, compress, decompress

_REPORT = TypeAdapter(Report)
_HISTOGRAM_STEPS = 20_000
"""Per 1: finer than any chart shows."""
_LEVEL_STEPS = 2
"""Per dB: finer than any chart shows."""
_SIGNIFICANT_DIGITS = 7
"""Of every other number: a thousandth of a hertz, a ten-thousandth of a cent."""
_HEADER_BYTES = 4
_NUMBER_BYTES = 4


def pack_report(report: Report) -> bytes:
    """A report as bytes."""
    values: dict[str, Any] = _REPORT.dump_python(report, mode="json", exclude_defaults=True)
    tuning = values["tuning"]
    histogram = tuning.pop("histogram", [])
    levels = tuning["spectrum"].pop("levels_db") if "spectrum" in tuning else []
    values["sizes"] = [len(histogram), len(levels)]
    head = json.dumps(_round(values), ensure_ascii=False, separators=(",", ":")).encode()
    numbers = _deltas(histogram, _HISTOGRAM_STEPS) + _deltas(levels, _LEVEL_STEPS)
    return compress(len(head).to_bytes(_HEADER_BYTES, "big") + head + _split_planes(numbers), REPORT)


def unpack_report(packed: bytes) -> Report:
    """The report that was packed. Raises UnreadableRecord."""
    try:
        data = decompress(packed, REPORT)
        end = _HEADER_BYTES + int.from_bytes(data[:_HEADER_BYTES], "big")
        values = json.loads(data[_HEADER_BYTES:end])
        size = values.pop("sizes")[0]
        numbers = _join_planes(data[end:])
        tuning = values["tuning"]
        tuning["histogram"] = _undo_deltas(numbers[:size], _HISTOGRAM_STEPS)
        if "spectrum" in tuning:
            tuning["spectrum"]["levels_db"] = _undo_deltas(numbers[size:], _LEVEL_STEPS)
        with reading_records():
            return _REPORT.validate_python(values)
    except (ValueError, KeyError, TypeError, IndexError, zlib.error) as error:
        raise UnreadableRecord("The report of this job can't be read.") from error


def parse_report(text: str) -> Report:
    """The report of a JSON text, as version 0.1 wrote it. Raises UnreadableRecord."""
    try:
        with reading_records():
            return _REPORT.validate_json(text)
    except ValidationError as error:
        raise UnreadableRecord("The report of this job can't be read.") from error


def _round(value: Any) -> Any:
    """The same JSON with shorter numbers."""
    if isinstance(value, float):
        return float(f"{value:.{_SIGNIFICANT_DIGITS}g}")
    if isinstance(value, dict):
        return {name: _round(each) for name, each in value.items()}
    return [_round(each) for each in value] if isinstance(value, list) else value


def _deltas(values: Sequence[float], steps: int) -> "array[int]":
    whole = [round(value * steps) for value in values]
    return array("i", [after - before for before, after in zip([0, *whole], whole, strict=False)])


def _undo_deltas(deltas: Sequence[int], steps: int) -> list[float]:
    total, values = 0, []
    for delta in deltas:
        total += delta
        values.append(total / steps)
    return values


def _split_planes(numbers: "array[int]") -> bytes:
    """All low bytes, then all second bytes, and so on: they compress far better apart."""
    data = array("i", numbers).tobytes()
    return b"".join(data[plane::_NUMBER_BYTES] for plane in range(_NUMBER_BYTES))


def _join_planes(planes: bytes) -> "array[int]":
    count = len(planes) // _NUMBER_BYTES
    data = bytearray(len(planes))
    for plane in range(_NUMBER_BYTES):
        data[plane::_NUMBER_BYTES] = planes[plane * count : (plane + 1) * count]
    numbers = array("i")
    numbers.frombytes(bytes(data))
    return numbers

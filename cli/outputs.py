"""How results are printed: a table for people, JSON lines and CSV for programs."""

import csv
import json
import re
import sys
from types import TracebackType
from typing import NoReturn, Protocol, Self

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.result import Result
from shared.domain.audio.text import track_text

PIPE_WIDTH = 160
"""Columns of a table that doesn't go to a terminal."""

CSV_COLUMNS = (
    "verdict",
    "a4_hz",
    "uncertainty_cents",
    "verdict_probability",
    "accuracy_probability",
    "confidence",
    "deviation_440_cents",
    "deviation_432_cents",
    "nearest_standard_hz",
    "temperament",
    "reason",
    "remarks",
    "dominant_hz",
    "dominant_note",
    "analysis_version",
)

AUDIO_CSV_COLUMNS = ("container", "codec", "duration_seconds", "duration_accuracy")

_STYLES = {"432": "cyan", "440": "green", "other": "yellow", "inconclusive": "dim"}


class Output(Protocol):
    """Takes results one by one; ends when the `with` block does, also when it is interrupted."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Print what isn't printed yet."""

    def write(self, result: Result) -> None:
        """Take one result."""


class JsonOutput:
    """One JSON object on a line for each result, as soon as it is known."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def write(self, result: Result) -> None:
        """Print one line."""
        line: dict[str, object] = {"file": result.name, **result.record}
        if result.problem is not None:
            line["problem"] = {"code": result.problem.code, "message": result.problem.message}
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        sys.stdout.flush()


class CsvOutput:
    """A header, and one row for each result, as soon as it is known."""

    def __init__(self) -> None:
        self._rows = csv.writer(sys.stdout, lineterminator="\n")

    def __enter__(self) -> Self:
        self._rows.writerow(["file", *CSV_COLUMNS, *AUDIO_CSV_COLUMNS, "track", "problem", "message"])
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def write(self, result: Result) -> None:
        """Print one row."""
        problem = [result.problem.code, result.problem.message] if result.problem else ["", ""]
        audio = result.report.audio if result.report else None
        cells = [
            *(result.record.get(name) for name in CSV_COLUMNS),
            *(getattr(audio, name, None) for name in AUDIO_CSV_COLUMNS),
            audio.track.index if audio and audio.track else None,
        ]
        self._rows.writerow([_cell(result.name), *map(_cell, cells), *problem])
        sys.stdout.flush()


class _TableConsole(Console):
    """Rich ends the process with status 1 if nobody reads its output; `cli.main` knows the right one."""

    def on_broken_pipe(self) -> NoReturn:
        """Pass the error on."""
        raise BrokenPipeError


class TableOutput:
    """A table at the end, because its columns depend on all rows, and what is wrong with files on stderr."""

    def __init__(self) -> None:
        self._problems: list[Result] = []
        self._table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        self._table.add_column("File", overflow="fold")
        self._table.add_column("Tuning", no_wrap=True)
        for column in ("A4", "± cents", "Probability", "From 440"):
            self._table.add_column(column, justify="right", no_wrap=True, min_width=len(column))
        self._table.add_column("Notes", overflow="fold")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._table.row_count:
            width = None if sys.stdout.isatty() else PIPE_WIDTH
            _TableConsole(file=sys.stdout, width=width, highlight=False).print(self._table)
            sys.stdout.flush()
        for result in self._problems:
            if result.problem is not None:
                sys.stderr.write(f"{result.name}: {result.problem.message}\n")

    def write(self, result: Result) -> None:
        """Add one row."""
        if result.report is None:
            code = result.problem.code if result.problem else ""
            self._table.add_row(Text(result.name), Text("–"), "", "", "", "", Text(_words(code), style="red"))
            self._problems.append(result)
            return
        tuning = result.report.tuning
        track = track_text(result.report.audio.track)
        self._table.add_row(
            Text(result.name),
            Text(str(tuning.verdict), style=_STYLES.get(str(tuning.verdict), "")),
            _number(tuning.a4_hz, "{:.2f} Hz"),
            _number(tuning.uncertainty_cents, "{:.1f}"),
            _number(tuning.verdict_probability, "{:.0%}"),
            _number(tuning.deviation_440_cents, "{:+.1f} c"),
            Text(
                ", ".join(
                    filter(
                        None,
                        [
                            _words(tuning.reason),
                            tuning.temperament,
                            *map(_words, tuning.remarks),
                            track and f"track {track}",
                        ],
                    )
                )
            ),
        )


def _number(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


def _words(code: str | None) -> str:
    return (code or "").replace("_", " ")


def _cell(value: object) -> object:
    """A value for CSV. A leading `=` or similar gets an apostrophe, so that a spreadsheet won't run it."""
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    if isinstance(value, str) and re.match(r"[=+@]|-.", value):
        return "'" + value
    return "" if value is None else value

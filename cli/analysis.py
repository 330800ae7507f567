"""Analyzes one recording and turns every failure into a problem to show. Loads librosa."""

from pathlib import Path

import click

from cli.recordings import Recording
from cli.result import Result
from shared.domain.job_fields import Problem
from shared.errors import KammertonError
from worker.analyze_files import analyze_file, prepare, record_of
from worker.plot import plot as draw

__all__ = ["analyze_recording", "prepare"]


def analyze_recording(
    recording: Recording, *, start_seconds: float | None, window_seconds: float, plot: Path | None = None
) -> Result:
    """The result of one recording. Raises ClickException if *plot* can't be written."""
    try:
        with recording.open() as audio:
            found = analyze_file(audio, start_seconds=start_seconds, window_seconds=window_seconds)
    except KammertonError as error:
        return Result(
            recording.name, problem=Problem(code=error.code, message=error.message, retryable=False)
        )
    except OSError as error:
        message = f"The file can't be read: {error.strerror or error}."
        return Result(recording.name, problem=Problem(code="unreadable", message=message, retryable=False))
    if plot is not None:
        _plot(found.report.tuning, plot, title=recording.name)
    return Result(recording.name, report=found.report, record=record_of(found))


def _plot(tuning: object, path: Path, *, title: str) -> None:
    try:
        draw(tuning, path, title=title)  # type: ignore[arg-type]
    except ModuleNotFoundError as missing:
        raise click.ClickException(f"--plot needs the package {missing.name}: run `make install`.") from None
    except (OSError, ValueError) as error:
        raise click.ClickException(f"The plot can't be written to {path}: {error}.") from None

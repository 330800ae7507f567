"""Analyzes local files without any service. `python -m worker analyze` prints one JSON line for each."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from pydantic import TypeAdapter

from shared.domain.report import Report
from shared.domain.tuning_text import headline
from shared.errors import KammertonError
from shared.observability.logs import configure_logs
from worker.decoding.light_librosa import import_librosa
from worker.jobs.analysis_result import AnalysisResult
from worker.plot import plot as draw
from worker.sandbox.limits import ChildLimits

_REPORT = TypeAdapter(Report)
_LIMITS = ChildLimits(memory_bytes=512 * 1024 * 1024, cpu_seconds=120, wall_seconds=120)


def prepare() -> None:
    """Load everything that an analysis needs, once, before the first file."""
    configure_logs(log_format="console", log_level="ERROR")
    import_librosa()  # before the module that imports all of it
    from worker.warm_up import warm_up

    warm_up()


def analyze_file(audio: BinaryIO, *, start_seconds: float | None, window_seconds: float) -> AnalysisResult:
    """Analyze one seekable file in a sandbox. Raises Unanalysable, Crashed, OSError."""
    from worker.jobs.analyze_audio import analyze_in_sandbox

    return analyze_in_sandbox(
        audio,
        start_seconds=start_seconds,
        window_seconds=window_seconds,
        limits=_LIMITS,
        on_tick=lambda: None,
    )


def record_of(result: AnalysisResult) -> dict[str, object]:
    """The fields of a result as JSON values."""
    report = _REPORT.dump_python(result.report, mode="json")
    answer = headline(result.report.tuning)
    return {
        "answer": answer,
        **report["tuning"],
        "audio": report["audio"],
        "memory_peak_bytes": result.memory_peak_bytes,
    }


def analyze_files(
    files: Sequence[Path], *, start_seconds: float | None, window_seconds: float, plot: Path | None = None
) -> bool:
    """Print a report or a problem for each file. Returns True if every file has a report.

    Draws the charts of the last report to *plot*.
    """
    prepare()
    all_succeeded = True
    for file in files:
        line: dict[str, object] = {"file": str(file)}
        try:
            with file.open("rb") as audio:
                result = analyze_file(audio, start_seconds=start_seconds, window_seconds=window_seconds)
            line |= record_of(result)
            if plot is not None:
                draw(result.report.tuning, plot, title=file.name)
        except (KammertonError, OSError) as error:
            all_succeeded = False
            message = error.message if isinstance(error, KammertonError) else f"{error.strerror}: {file}"
            line["problem"] = {"code": getattr(error, "code", "unreadable"), "message": message}
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        sys.stdout.flush()
    return all_succeeded

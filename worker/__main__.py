"""`python -m worker FILE…`: analyse local files, one JSON line each. No services needed."""

import argparse
import json
import sys
from pathlib import Path

from pydantic import TypeAdapter

from shared.errors import KammertonError
from shared.logs import configure_logs
from shared.report import Report
from worker.limits import ChildLimits
from worker.listen import listen_in_child
from worker.warm import warm_up

_REPORT = TypeAdapter(Report)
_LIMITS = ChildLimits(memory_bytes=512 * 1024 * 1024, cpu_seconds=120, wall_seconds=120)


def main(arguments: list[str] | None = None) -> int:
    """Print a report or a problem for each file; 1 if any has a problem."""
    parser = argparse.ArgumentParser(prog="python -m worker", description="Which pitch is a song tuned to?")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--start", type=float, metavar="SECONDS", help="where the window begins")
    parser.add_argument(
        "--window", type=float, default=60.0, metavar="SECONDS", help="how much to listen to (60)"
    )
    options = parser.parse_args(arguments)
    configure_logs(log_format="console", log_level="ERROR")
    warm_up()
    failed = False
    for file in options.files:
        line: dict[str, object] = {"file": str(file)}
        try:
            line |= _analyse(file, options.start, options.window)
        except (KammertonError, OSError) as error:
            failed = True
            message = error.message if isinstance(error, KammertonError) else f"{error.strerror}: {file}"
            line["problem"] = {"code": getattr(error, "code", "unreadable"), "message": message}
        print(json.dumps(line, ensure_ascii=False), flush=True)
    return int(failed)


def _analyse(file: Path, start_seconds: float | None, window_seconds: float) -> dict[str, object]:
    with file.open("rb") as audio:
        heard = listen_in_child(
            audio,
            start_seconds=start_seconds,
            window_seconds=window_seconds,
            limits=_LIMITS,
            keep_going=lambda: None,
        )
    report = _REPORT.dump_python(heard.report, mode="json")
    return {**report["tuning"], "audio": report["audio"], "memory_peak_bytes": heard.memory_peak_bytes}


if __name__ == "__main__":
    sys.exit(main())

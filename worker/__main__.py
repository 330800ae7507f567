"""`python -m worker COMMAND`: every process of the worker side.

`python -m worker FILE…` is short for `python -m worker analyze FILE…`.
"""

import argparse
import os
import sys
from pathlib import Path

COMMANDS = {
    "run": "run jobs from the queues",
    "background": "webhooks and maintenance in one process",
    "webhooks": "send webhooks",
    "maintenance": "rescue lost jobs and delete expired ones",
    "adopt-storage": "make the bucket belong to this Redis database, after the old one was lost",
    "healthcheck": "exit with 1 if the worker on this machine is unhealthy, or one of: rescuer notifier",
    "analyze": "analyze local audio files; the word `analyze` is optional",
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    # OpenBLAS reads it when NumPy is imported. It would start a thread in each child of the sandbox, which
    # spins: 0.1 s of CPU a song.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    command, *rest = arguments or ["--help"]
    if command == "--healthcheck":  # as it was called before the sub-commands
        command = "healthcheck"
    if command in {"-h", "--help"}:
        (sys.stdout if arguments else sys.stderr).write(_usage())
        return 0 if arguments else 2
    # Imported late: each command loads only what it needs, and a health check next to nothing.
    if command == "run":
        from worker.main import main as run

        run(rest)
        return 0
    if command == "background":
        from worker.background import main as run_background

        run_background()
        return 0
    if command == "webhooks":
        from worker.webhooks.main import main as send_webhooks

        send_webhooks()
        return 0
    if command == "maintenance":
        from worker.maintenance.main import main as maintain

        maintain()
        return 0
    if command == "adopt-storage":
        from worker.maintenance.main import adopt_storage

        adopt_storage()
        return 0
    if command == "healthcheck":
        from worker.health_files import PROCESSES, check

        if unknown := set(rest) - set(PROCESSES):
            sys.stderr.write(f"healthcheck: {unknown.pop()} is none of {', '.join(PROCESSES)}\n")
            return 2
        return check(rest)
    return _analyze(rest if command == "analyze" else arguments)


def _usage() -> str:
    lines = [f"  {name:<14} {description}\n" for name, description in COMMANDS.items()]
    return f"usage: python -m worker COMMAND [OPTION…] [FILE…]\n\n{''.join(lines)}"


def _analyze(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m worker analyze", description="Which reference pitch is a song tuned to?"
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--start", type=float, metavar="SECONDS", help="where the analyzed window begins")
    parser.add_argument(
        "--window", type=float, default=60.0, metavar="SECONDS", help="length of the window (default: 60)"
    )
    parser.add_argument("--plot", type=Path, metavar="OUT.png", help="plot spectrum and tuning of one FILE")
    options = parser.parse_args(arguments)
    if options.plot and len(options.files) > 1:
        parser.error("--plot takes one FILE")
    from worker.analyze_files import analyze_files

    succeeded = analyze_files(
        options.files, start_seconds=options.start, window_seconds=options.window, plot=options.plot
    )
    return 0 if succeeded else 1


if __name__ == "__main__":
    sys.exit(main())

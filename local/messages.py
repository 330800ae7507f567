"""What a person at the terminal reads while everything starts, and once it is ready."""

import contextlib
import sys
from pathlib import Path

from shared.version import VERSION

STARTING_SERVERS = "Starting Valkey and the S3 server …"
STARTING_COMMANDS = "Starting the API, the worker and the background process …"
STOPPING = "Stopping. To stop at once, press Ctrl-C again."


def say(text: str) -> None:
    """Show a message. Errors of a closed terminal are ignored."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def welcome(address: str, *, data_dir: Path, logs: Path, password: str) -> str:
    """The addresses, folders and commands that a person needs next. *password* says it or where it is."""
    rows = (
        ("Upload page", address),
        ("Dashboard", f"{address}/admin   password: {password}"),
        ("API reference", f"{address}/docs"),
        ("From a shell", f"curl -F file=@song.mp3 {address}/v1/jobs"),
        ("Data", str(data_dir.resolve())),
        ("Logs", f"{logs.resolve()}   (to see them here: --verbose)"),
        ("Stop", "press Ctrl-C"),
    )
    lines = "".join(f"  {name:<15}{value}\n" for name, value in rows)
    return f"\nKammerton {VERSION} is ready.\n\n{lines}"

"""What a person at the terminal reads while everything starts, and once it is ready."""

import contextlib
import importlib.util
import os
import sys
from pathlib import Path

from shared.version import VERSION

STARTING_SERVERS = "Starting Valkey and the S3 server …"
STARTING_COMMANDS = "Starting the API, the worker and the background process …"
COMPILING = f"{STARTING_COMMANDS} The first start compiles some functions. It takes a minute or two."
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


def compiles_first() -> bool:
    """Whether numba has compiled nothing of librosa yet, so that the first start takes longer."""
    folder = os.environ.get("NUMBA_CACHE_DIR")
    spec = importlib.util.find_spec("librosa")
    folders = [folder] if folder else list((spec and spec.submodule_search_locations) or [])
    return not any(True for place in folders for _ in Path(place).rglob("*.nbi"))

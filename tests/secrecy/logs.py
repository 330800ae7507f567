"""Where the logs of a test run are kept until they are searched."""

import os
from pathlib import Path

from tests.secrecy.search import Secret, read_secrets
from tests.secrecy.sitecustomize import FOLDER


def log_path(name: str) -> Path | None:
    """A log of this process; None where this run is not searched."""
    folder = os.environ.get(FOLDER)
    return Path(folder) / "logs" / f"{os.getpid()}-{name}.log" if folder else None


def keep_log(name: str, text: str) -> None:
    """Add to a log of this process."""
    if path := log_path(name):
        with path.open("a") as log:
            log.write(text if text.endswith("\n") else text + "\n")


def run_logs() -> list[Path]:
    """All logs of this run so far, of all its processes."""
    folder = os.environ.get(FOLDER)
    return [log for log in (Path(folder) / "logs").iterdir() if log.exists()] if folder else []


def secrets_so_far() -> list[Secret]:
    """What all processes of this run have written down by now."""
    folder = os.environ.get(FOLDER)
    return read_secrets(Path(folder) / "secrets") if folder else []

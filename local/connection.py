"""Lets other programs of this machine find the servers of a running instance: a file in its data folder."""

import fcntl
import json
from collections.abc import Mapping
from pathlib import Path

from local.private_file import write_private

_NAMES = (
    "KAMMERTON_REDIS_URL",
    "KAMMERTON_REDIS_URL_FILE",
    "KAMMERTON_S3_ENDPOINT_URL",
    "KAMMERTON_S3_BUCKET",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_REGION",
)


class NotRunning(Exception):
    """Raised when no instance uses a data directory. Its message says what to do."""


def write_connection(data_dir: Path, env: Mapping[str, str]) -> Path:
    """Write the settings that reach the servers, readable by this user only. Returns the file."""
    file = data_dir / "connection.json"
    write_private(file, json.dumps({name: env[name] for name in _NAMES if name in env}))
    return file


def read_connection(data_dir: Path) -> dict[str, str]:
    """The settings of the instance that uses *data_dir*. Raises NotRunning."""
    try:
        if not _is_locked(data_dir / "lock"):  # the file of an instance that was killed stays behind
            raise NotRunning(_not_running(data_dir))
        return {
            str(name): str(value)
            for name, value in json.loads((data_dir / "connection.json").read_text()).items()
        }
    except FileNotFoundError:
        raise NotRunning(_not_running(data_dir)) from None


def _is_locked(lock: Path) -> bool:
    with lock.open("r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def _not_running(data_dir: Path) -> str:
    return (
        f"Kammerton isn't running with the data folder {data_dir}. "
        "Start it with `kammerton run`, or set KAMMERTON_REDIS_URL to your own server."
    )

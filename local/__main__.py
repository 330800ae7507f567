"""`python -m local`: runs the whole system on this machine until Ctrl-C."""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from local.launch import Options, run
from local.processes import Command

SMALL = {
    "KAMMERTON_JOB_MEMORY_BYTES": str(96 << 20),
    "KAMMERTON_S3_PART_BYTES": str(5 << 20),
    "KAMMERTON_SOURCE_SPOOL_BYTES": str(4 << 20),
    "KAMMERTON_UPLOAD_BUFFER_BYTES": str(20 << 20),
    "KAMMERTON_WEBHOOK_CONCURRENCY": "16",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(512 << 10),  # returns the memory of upload buffers when they are freed
}
"""Settings of `--small`, for hosts of 512 MB. The environment overrides them."""


def commands(options: Options) -> list[Command]:
    """What runs next to the servers, as in docker-compose.yml. Stopped from the last to the first."""
    api = [sys.executable, "-m", "api", "serve"]
    worker = [sys.executable, "-m", "worker"]
    return [
        Command("background", [*worker, "background"], stop_seconds=4, is_forked=True),
        Command(
            "worker",
            [*worker, "run", "--concurrency", str(options.workers)],
            stop_seconds=5,
            is_forked=True,
        ),
        Command(
            "api",
            [*api, "--host", options.host, "--port", str(options.port)],
            stop_seconds=options.upload_grace_seconds,
            is_forked=True,
        ),
    ]


def parse(arguments: list[str], *, program: str = "python -m local") -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog=program, description="Start everything on this machine. To stop it, press Ctrl-C."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=_port, default=8000, help="0 takes any free port (default: %(default)s)"
    )
    parser.add_argument(
        "--data-dir", type=Path, default=Path(".data"), help="jobs and audio (default: %(default)s)"
    )
    parser.add_argument(
        "--workers",
        type=_count,
        default=min(os.cpu_count() or 1, 4),
        help="jobs at once (default: %(default)s)",
    )
    parser.add_argument(
        "--small", action="store_true", help="use little memory: one job at once, small upload buffers"
    )
    parser.add_argument(
        "--upload-grace-seconds",
        type=_count,
        default=4,
        help="how long uploads may go on after a stop (default: %(default)s)",
    )
    parser.add_argument("--verbose", action="store_true", help="show the logs of all processes here")
    given = vars(parser.parse_args(arguments))
    if given.pop("small"):
        given |= {"workers": 1, "settings": SMALL}
    return Options(**given)


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return port


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least one is needed")
    return count


def main(arguments: list[str], *, environ: Mapping[str, str], program: str = "python -m local") -> int:
    """Run until somebody stops it. Returns the exit status."""
    return run(parse(arguments, program=program), commands=commands, environ=environ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], environ=os.environ))

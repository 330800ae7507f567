"""`kammerton run`: start the whole system on this machine, from any folder."""

import os
from pathlib import Path

import click

from cli.keys import DATA_DIR

ROOT = Path(__file__).parents[1]


@click.command(
    "run",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    short_help="Start everything on this machine; stop it with Ctrl-C.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run_services(arguments: tuple[str, ...]) -> int:
    """Do what `make run` does."""
    from local.__main__ import main

    # The services are started as `python -m api` and `python -m worker`, from any folder.
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    return main(["--data-dir", str(DATA_DIR), *arguments], environ=environ, program="kammerton run")

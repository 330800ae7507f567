"""`kammerton keys`: manage the API keys of `kammerton run`, or of the servers in the environment."""

import os
from pathlib import Path

import click

from local.connection import NotRunning, read_connection

DATA_DIR = Path(__file__).parents[1] / ".data"


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    short_help="Create, list, and revoke API keys.",
)
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path), default=DATA_DIR, hidden=True)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def keys(arguments: tuple[str, ...], *, data_dir: Path) -> int:
    """Run `keys create`, `keys list`, or `keys revoke`."""
    wants_help = not arguments or "--help" in arguments or "-h" in arguments
    if not wants_help and not os.environ.get("KAMMERTON_REDIS_URL"):
        try:
            os.environ.update(read_connection(data_dir))
        except NotRunning as reason:
            raise click.ClickException(str(reason)) from None
    from api.access.key_commands import run
    from shared.errors import KammertonError
    from shared.services import connect
    from shared.settings import read_settings

    try:
        return run(
            ["keys", *(arguments or ["--help"])],
            connect=lambda: connect(read_settings()).api_keys,
            program="kammerton",
        )
    except KammertonError as error:
        raise click.ClickException(error.message) from None

"""The `kammerton` command: its sub-commands, its exit status, and how it ends when it is interrupted."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from cli.analyze import analyze
from cli.keys import keys
from cli.services import run_services
from shared.version import VERSION

OK, FAILED, USAGE_ERROR, INTERRUPTED, CLOSED_PIPE = 0, 1, 2, 130, 141
"""Exit statuses. The last two are those of a shell for a program that SIGINT or SIGPIPE ends."""

EPILOG = """\b
Exit status:
  0    success
  1    a file could not be analyzed, or a service is not available
  2    wrong usage
  130  interrupted with Ctrl-C
  141  the reader of the output closed the pipe
"""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="kammerton", message="%(prog)s %(version)s")
def kammerton() -> None:
    """Tells which reference pitch a song is tuned to."""


kammerton.add_command(analyze)
kammerton.add_command(keys)
kammerton.add_command(run_services)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit status; never shows a traceback for an interrupt or a closed pipe."""
    try:
        # Not `kammerton.main`: it turns Ctrl-C and a closed pipe into exit status 1.
        words = list(sys.argv[1:] if arguments is None else arguments)
        with kammerton.make_context("kammerton", words) as context:
            status = kammerton.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        return INTERRUPTED
    except BrokenPipeError:
        return CLOSED_PIPE
    return status if isinstance(status, int) else OK


def run() -> NoReturn:
    """Run the command line of this process and exit."""
    status = main()
    if status in (CLOSED_PIPE, INTERRUPTED):  # the interpreter would wait for a reader, or report its absence
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)

"""`kammerton analyze`: analyze files, folders, or standard input on this machine, without any service."""

import sys
from pathlib import Path

import click

from cli.outputs import CsvOutput, JsonOutput, Output, TableOutput
from cli.progress import show_progress
from cli.recordings import STDIN, find_recordings

MAX_WINDOW_SECONDS = 600.0


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="FILE|FOLDER|-...")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each file.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="OUT.png",
    help="Also plot the spectrum and the tuning of a single file.",
)
@click.option(
    "--start", type=click.FloatRange(min=0), metavar="SECONDS", help="Where the analyzed window begins."
)
@click.option(
    "--window",
    type=click.FloatRange(min=0, min_open=True, max=MAX_WINDOW_SECONDS),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Length of the analyzed window.",
)
def analyze(
    paths: tuple[str, ...],
    *,
    as_json: bool,
    as_csv: bool,
    plot: Path | None,
    start: float | None,
    window: float,
) -> int:
    """Analyze audio files on this machine; no service needs to run.

    A folder stands for all audio files in it and its subfolders. Use - to read a file from standard input.
    """
    if as_json and as_csv:
        raise click.UsageError("Use either --json or --csv, not both.")
    if paths.count(STDIN) > 1:
        raise click.UsageError("Use - only once.")
    recordings = find_recordings(paths)
    if plot is not None and len(recordings) != 1:
        raise click.UsageError(f"--plot needs exactly one file, but there are {len(recordings)}.")
    output: Output = JsonOutput() if as_json else CsvOutput() if as_csv else TableOutput()
    with output, show_progress(len(recordings), enabled=_has_progress(output)) as progress:
        # Imported late: librosa takes seconds to load, and wrong usage should be reported at once.
        from cli.analysis import analyze_recording, prepare

        prepare()
        succeeded = True
        for recording in recordings:
            progress.start(recording.name)
            result = analyze_recording(recording, start_seconds=start, window_seconds=window, plot=plot)
            output.write(result)
            succeeded = succeeded and result.problem is None
            progress.finish()
    return 0 if succeeded else 1


def _has_progress(output: Output) -> bool:
    """Show a bar to a person, unless the results themselves appear on the same terminal meanwhile."""
    return sys.stderr.isatty() and (isinstance(output, TableOutput) or not sys.stdout.isatty())

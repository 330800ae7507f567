"""A progress bar on standard error, for a person at a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class FileProgress:
    """Says which file is being analyzed and how many are left. Without a bar, does nothing."""

    def __init__(self, bar: Progress | None, total: int) -> None:
        self._bar = bar
        self._task = bar.add_task("Loading the analysis", total=total) if bar else None

    def start(self, name: str) -> None:
        """Name the file that is being analyzed."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=escape(_shortened(name)))

    def finish(self) -> None:
        """Count one file."""
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task)


@contextmanager
def show_progress(total: int, *, enabled: bool) -> Iterator[FileProgress]:
    """Show a bar while the block runs, and remove it afterwards."""
    if not enabled:
        yield FileProgress(None, total)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns,
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,  # it would print the results on standard error
        redirect_stderr=False,
    ) as bar:
        yield FileProgress(bar, total)


def _shortened(name: str, longest: int = 40) -> str:
    return name if len(name) <= longest else "…" + name[1 - longest :]

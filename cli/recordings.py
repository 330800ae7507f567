"""Which files to analyze: from the arguments of the command line to seekable files."""

import os
import re
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from shared.domain.audio.formats import FORMATS
from shared.errors import TooLarge

STDIN = "-"
MAX_STREAM_BYTES = 2 * 1024**3
"""A stream that is longer is refused: it is copied to the disk before it is analyzed."""

_AUDIO_NAME = re.compile(
    rf"[^.].*\.({'|'.join(re.escape(end) for each in FORMATS for end in each.extensions)})", re.IGNORECASE
)
"""Names of the files that are analyzed in a folder. A file that you name yourself can have any name."""

_BLOCK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Recording:
    """One file to analyze."""

    path: str
    """As given on the command line, or below a folder that was given; `-` for standard input."""

    @property
    def name(self) -> str:
        """The path as it is shown: without control characters, and valid Unicode."""
        text = os.fsencode(self.path).decode("utf-8", "replace")
        return "".join(
            character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
        )

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open it as a seekable file; copy a stream to a temporary file. Raises OSError, TooLarge."""
        if self.path == STDIN:
            with _spooled(sys.stdin.buffer) as file:
                yield file
            return
        with Path(self.path).open("rb") as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                yield file
            else:
                with _spooled(file) as copy:
                    yield copy


def find_recordings(paths: Sequence[str]) -> list[Recording]:
    """The files to analyze, those of a folder in order. A missing file is reported when it is opened."""
    found: list[Recording] = []
    for path in paths:
        if path != STDIN and Path(path).is_dir():
            found += [Recording(str(file)) for file in _audio_files(Path(path))]
        else:
            found.append(Recording(path))
    return found


def _audio_files(folder: Path) -> list[Path]:
    """The audio files below a folder. Skips hidden files and folders, and links to folders."""
    files = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [Path(place, name) for name in names if _AUDIO_NAME.fullmatch(name)]
    return sorted(files)


@contextmanager
def _spooled(stream: BinaryIO) -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile(prefix="kammerton-") as file:
        size = 0
        while block := stream.read(_BLOCK_BYTES):
            size += len(block)
            if size > MAX_STREAM_BYTES:
                raise TooLarge("The stream is longer than 2 GiB. Save it to a file first.")
            file.write(block)
        file.seek(0)
        yield file

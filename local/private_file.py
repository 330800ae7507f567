"""Files that only this user can read."""

import os
from pathlib import Path


def write_private(file: Path, text: str) -> None:
    """Write *file* with mode 0600, whole or not at all."""
    unfinished = file.with_name(f"{file.name}.new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as writer:
        writer.write(text)
    unfinished.rename(file)

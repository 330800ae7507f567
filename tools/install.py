"""Installs a lock file with pip and shows how far it is: `python -m tools.install requirements/run.txt`."""

import re
import subprocess
import sys
import time
from pathlib import Path


def main(lock: Path) -> int:
    """Run pip. Returns its exit status; shows its output only if it fails."""
    total = len(set(re.findall(r"^([\w.-]+)==", lock.read_text(), re.MULTILINE)))
    began = time.monotonic()
    print(f"Installing up to {total} packages from {lock} …", file=sys.stderr, flush=True)
    command = ["-m", "pip", "install", "--disable-pip-version-check", "--require-hashes", "-r", str(lock)]
    lines, done = [], 0
    with subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            lines.append(line)
            if line.startswith(("Collecting ", "Requirement already satisfied: ")):
                done += 1
                _show(f"  {done} of {total}")
            elif line.startswith("Installing collected packages"):
                _show("  unpacking")
    _show("")
    if pip.returncode:
        sys.stderr.writelines(lines[-40:])
        return pip.returncode
    print(f"Installed in {time.monotonic() - began:.0f} s.", file=sys.stderr)
    return 0


def _show(text: str) -> None:
    """Replace the last line of a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

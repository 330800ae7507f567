"""`make bench`: a short form of the benchmarks, one after the other, with songs that it makes.

For numbers to quote, run each alone on a machine that does nothing else: see README.md.
"""

import argparse
import io
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from tests.support.music import make_song

ROOT = Path(__file__).parents[1]
MINUTES = {"wav": 2, "mp3": 9}


def songs(folder: Path) -> None:
    """Make a stereo WAV file of 21 MB, and an MP3 file of 22 MB."""
    minute, rate = soundfile.read(io.BytesIO(make_song(440.0, seconds=60.0)), dtype="int16")
    for kind, minutes in MINUTES.items():
        with soundfile.SoundFile(folder / f"song.{kind}", "w", samplerate=rate, channels=2) as file:
            for _ in range(minutes):
                file.write(np.stack([minute, minute], axis=1))


def main() -> int:
    """Run everything. Returns 1 if something failed."""
    argparse.ArgumentParser(prog="make bench", description=__doc__).parse_args()
    failed = False
    with tempfile.TemporaryDirectory(prefix="kammerton-songs-") as made:
        songs(Path(made))
        files = ["--files", made]
        runs = [
            ["benchmarks.redis_costs", "--waiting", "10", "1000", "--jobs", "100"],
            ["benchmarks.redis_memory", "200"],
            ["benchmarks.costs", *files, "--songs", "4"],
            [
                "benchmarks.peers",
                *files,
                *("--rounds", "1", "--songs", "4"),
                *("--systems", "kammerton-one-child,kammerton,first_minute"),
            ],
        ]
        for run in runs:
            print(f"== {' '.join(run)}", flush=True)
            failed |= subprocess.run([sys.executable, "-m", *run], cwd=ROOT, check=False).returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

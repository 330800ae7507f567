"""`make bench`: a short form of the benchmarks, one after the other, with songs that it makes.

For numbers to quote, on a machine that does nothing else: `.venv/bin/python -m benchmarks --full`. It keeps
what each prints in benchmarks/results, and then draws the plots and writes docs/capacity.md from it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.peers.songs import LARGE, LONG, SONGS, make_songs
from benchmarks.plots import RESULTS

ROOT = Path(__file__).parents[1]
SAFE_LIMIT = ("--limit-mb", "8000")
"""`whole_file` would need all memory of the machine for 2 GB."""


@dataclass(frozen=True)
class Run:
    """A benchmark with its arguments. `{songs}` and `{large}` stand for folders of files that it makes."""

    name: str
    short: Sequence[str]
    full: Sequence[str]


def peers(files: str, clients: str, *options: str, systems: str = "kammerton") -> list[str]:
    """Arguments of `benchmarks.peers`, with both endpoints."""
    compared = f"{systems},whole_file,first_minute"
    return ["peers", "--files", files, "--systems", compared, "--clients", *clients.split(), *options]


RUNS = [
    Run(
        "redis_costs",
        short=["redis_costs", "--waiting", "10", "1000", "--jobs", "100", "--clients", "2"],
        full=["redis_costs", "--waiting", "10", "10000", "100000", "--jobs", "1000", "--clients", "4"],
    ),
    Run("redis_memory", short=["redis_memory", "200"], full=["redis_memory", "1000"]),
    Run(
        "costs",
        short=["costs", "--files", "{songs}", "--songs", "4"],
        full=["costs", "--files", "{songs}", "--songs", "16"],
    ),
    Run(
        "bare_loop",
        short=["bare_loop", "--files", "{songs}", "--songs", "3"],
        full=["bare_loop", "--files", "{songs}", "--songs", "8"],
    ),
    Run(
        "peers",
        short=peers(
            "{songs}", "1 8", "--rounds", "1", "--songs", "4", systems="kammerton-one-child,kammerton"
        ),
        full=peers(
            "{songs}", "1 8 32", "--rounds", "2", "--songs", "8", systems="kammerton-one-child,kammerton"
        ),
    ),
    Run(
        "peers-large",
        short=peers("{large}", "1", "--rounds", "1", "--songs", "1", *SAFE_LIMIT),
        full=peers("{large}", "1 8", "--rounds", "1", "--songs", "1", *SAFE_LIMIT),
    ),
    Run(
        "peers-512-mb",
        short=peers(
            "{songs}", "8", "--rounds", "1", "--songs", "8", "--limit-mb", "512", systems="kammerton-small"
        ),
        full=peers(
            "{songs}",
            "1 8 32",
            *("--rounds", "1", "--songs", "16", "--limit-mb", "512"),
            systems="kammerton,kammerton-small",
        ),
    ),
    Run(
        "peers-large-512-mb",
        short=peers(
            "{large}", "1", "--rounds", "1", "--songs", "1", "--limit-mb", "512", systems="kammerton-small"
        ),
        full=peers(
            "{large}", "1 8", "--rounds", "1", "--songs", "1", "--limit-mb", "512", systems="kammerton-small"
        ),
    ),
]


def run(each: Run, folders: dict[str, Path], *, is_full: bool) -> bool:
    """Run one, and show its lines. With *is_full*, also keep them. Returns whether it succeeded."""
    module, *arguments = [part.format(**folders) for part in (each.full if is_full else each.short)]
    print(f"== benchmarks.{module} {' '.join(arguments)}", flush=True)
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if is_full and process.returncode == 0:
        RESULTS.mkdir(exist_ok=True)
        suffix = "jsonl" if lines[0].startswith("{") else "txt"
        (RESULTS / f"{each.name}.{suffix}").write_text("".join(lines))
    return process.returncode == 0


def main() -> int:
    """Run everything, or what is named. Returns 1 if something failed."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    names = [each.name for each in RUNS]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all, or some of {', '.join(names)}")
    parser.add_argument("--full", action="store_true", help="long enough to quote; keep the results")
    options = parser.parse_args()
    if unknown := set(options.names) - {*names, "all"}:
        parser.error(
            f"No benchmark is called {', '.join(sorted(unknown))}. There are: all, {', '.join(names)}."
        )
    chosen = [each for each in RUNS if not options.names or {"all", each.name} & {*options.names}]
    machine = {
        "measured_on": datetime.now(UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }
    failed = []
    with tempfile.TemporaryDirectory(prefix="kammerton-songs-") as made:
        folders = {"songs": Path(made) / "songs", "large": Path(made) / "large"}
        made_of = {"songs": SONGS, "large": LARGE if options.full else LONG}
        for name, folder in folders.items():
            if any(f"{{{name}}}" in (each.full if options.full else each.short) for each in chosen):
                make_songs(folder, made_of[name])
        for each in chosen:
            if not run(each, folders, is_full=options.full):
                failed.append(each.name)
    if options.full:
        (RESULTS / "machine.jsonl").write_text(json.dumps(machine) + "\n")
        for module in ("benchmarks.plots", "tools.capacity_docs"):
            subprocess.run([sys.executable, "-m", module], cwd=ROOT, check=True)
    if failed:
        print(f"These failed: {', '.join(failed)}.", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())

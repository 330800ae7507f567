"""Draws results: `python -m benchmarks.plots RESULTS.jsonl... --out FILE.png`.

RESULTS are lines of `benchmarks.peers` and `benchmarks.redis_costs`, in any order and any number of files.
"""

import argparse
import json
from pathlib import Path
from typing import Any

KAMMERTON, OTHER = "#2a6f97", "#b7b7b7"
_LABELS = {
    "kammerton": "Kammerton",
    "kammerton-one-child": "Kammerton, one job at once",
    "kammerton-small": "Kammerton, small",
    "first_minute": "endpoint: first minute",
    "whole_file": "endpoint: whole file",
}
_PANELS = {
    "songs_per_s": "Songs per second, 8 clients",
    "cpu_s_per_song": "CPU seconds per song",
    "peak_mb": "Peak memory of all processes, MB",
}


def read(files: list[Path]) -> list[dict[str, Any]]:
    """Every line that is a JSON object."""
    lines = [line for file in files for line in file.read_text().splitlines()]
    return [json.loads(line) for line in lines if line.startswith("{")]


def draw(results: list[dict[str, Any]], file: Path) -> None:
    """A panel for each number of the systems, and one for what a job costs Redis at each depth."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    systems = [line for line in results if "median" in line]
    depths = sorted((line["waiting"], line["cpu_ms"]) for line in results if "waiting" in line)
    panels = (list(_PANELS) if systems else []) + (["depths"] if depths else [])
    if not panels:
        raise SystemExit("These files have no results of benchmarks.peers or benchmarks.redis_costs.")
    figure, axes = plt.subplots(
        1, len(panels), figsize=(3.6 * len(panels), 3.4), layout="constrained", squeeze=False
    )
    for axis, name in zip(axes[0], panels, strict=True):
        if name == "depths":
            axis.bar([f"{waiting:,}" for waiting, _ in depths], [ms for _, ms in depths], color=KAMMERTON)
            axis.set(title="CPU of Redis per job, ms", xlabel="jobs that wait")
        else:
            _bars(axis, systems, name)
    figure.savefig(file, dpi=110)


def _bars(axis: Any, systems: list[dict[str, Any]], name: str) -> None:
    kinds = list(dict.fromkeys(line["kind"] for line in systems))
    names = list(dict.fromkeys(line["system"] for line in systems))
    width = 0.8 / len(names)
    for place, system in enumerate(names):
        heights = [
            line["median"][name] for kind in kinds for line in systems if _is(line, kind=kind, system=system)
        ]
        at = [number + (place - (len(names) - 1) / 2) * width for number in range(len(heights))]
        color = KAMMERTON if system.startswith("kammerton") else OTHER
        bars = axis.bar(at, heights, width, color=color, edgecolor="white", label=_LABELS.get(system, system))
        axis.bar_label(bars, fontsize=8)
    axis.set_xticks(range(len(kinds)), [f"21 MB {kind.upper()}" for kind in kinds])
    axis.set(title=_PANELS[name])
    axis.margins(y=0.3)
    axis.legend(fontsize=8, frameon=False)


def _is(line: dict[str, Any], *, kind: str, system: str) -> bool:
    return bool(line["kind"] == kind and line["system"] == system)


def main() -> None:
    """Draw the results of some files."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plots", description=__doc__)
    parser.add_argument("results", type=Path, nargs="+", help="lines of JSON")
    parser.add_argument("--out", type=Path, required=True, help="the picture, PNG or SVG")
    options = parser.parse_args()
    draw(read(options.results), options.out)


if __name__ == "__main__":
    main()

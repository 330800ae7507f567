"""Draws what `python -m benchmarks --full` kept: `python -m benchmarks.plots [--out FILE.png]`."""

import argparse
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

RESULTS = Path(__file__).parent / "results"
PICTURE = RESULTS / "benchmarks.png"

_SYSTEMS = {
    "kammerton": ("Kammerton", "#2a6f97"),
    "first_minute": ("endpoint: first minute", "#8d8d8d"),
    "whole_file": ("endpoint: whole file", "#cfcfcf"),
}
_CLIENTS = 8
_COLORS = 48
"""Of the picture. Fewer make it smaller."""


def read(files: Sequence[Path]) -> list[dict[str, Any]]:
    """Every line that is a JSON object."""
    lines = [line for file in files for line in file.read_text().splitlines()]
    return [json.loads(line) for line in lines if line.startswith("{")]


def draw(results: list[dict[str, Any]]) -> bytes:
    """A PNG: speed at each number of clients, memory for each kind of file, and Redis at each depth.

    A system that gave no answer has a cross instead of a bar.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    free = [line for line in results if "median" in line and line["limit_mb"] != 512]
    depths = sorted(
        (line["waiting"], line["cpu_ms"])
        for line in results
        if line.get("clients") == 1 and "waiting" in line
    )
    songs = [kind for kind in dict.fromkeys(line["kind"] for line in free) if kind.startswith("21 MB")]
    if not free or not depths:
        raise SystemExit("Results are missing. Run `python -m benchmarks --full`.")
    figure, axes = plt.subplots(1, len(songs) + 2, figsize=(4 * (len(songs) + 2), 3.2), layout="constrained")
    for axis, kind in zip(axes, songs, strict=False):
        lines = [line | {"group": f"{line['clients']}"} for line in free if line["kind"] == kind]
        _bars(axis, lines, "songs_per_s")
        axis.set(title=f"Songs per second, {kind}", xlabel="clients at once")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=3, frameon=False)
    peaks = [line | {"group": line["kind"]} for line in free if line["clients"] == _most_clients(free, line)]
    _bars(axes[-2], peaks, "peak_mb")
    axes[-2].set(title="Peak memory, MB", yscale="log", ylim=(100, 30_000))
    axes[-2].tick_params("x", labelsize=8)
    axes[-1].bar([f"{waiting:,}" for waiting, _ in depths], [ms for _, ms in depths], color="#2a6f97")
    axes[-1].set(title="CPU of Redis per job, ms", xlabel="jobs that wait")
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=80, format="png")
    plt.close(figure)
    return _small(drawn.getvalue())


def _most_clients(results: list[dict[str, Any]], line: dict[str, Any]) -> int:
    """Eight, or fewer for files that were sent by fewer."""
    tried = {other["clients"] for other in results if other["kind"] == line["kind"]}
    return _CLIENTS if _CLIENTS in tried else int(max(tried))


def _bars(axis: Any, lines: list[dict[str, Any]], name: str) -> None:
    groups = list(dict.fromkeys(line["group"] for line in lines))
    systems = [system for system in _SYSTEMS if any(line["system"] == system for line in lines)]
    width = 0.84 / len(systems)
    for place, system in enumerate(systems):
        # a system that gave no answer has no number that means something
        heights = {
            line["group"]: line["median"][name] or 0 if line["median"]["songs_per_s"] else 0
            for line in lines
            if line["system"] == system
        }
        label, color = _SYSTEMS[system]
        at = [number + (place - (len(systems) - 1) / 2) * width for number in range(len(groups))]
        known = [heights.get(group, 0) for group in groups]
        bars = axis.bar(at, known, width, color=color, edgecolor="white", label=label)
        axis.bar_label(bars, [_number(height) if height else "" for height in known], fontsize=7)
        for x, height in zip(at, known, strict=True):
            if not height:
                axis.text(x, 0.02, "×", ha="center", transform=axis.get_xaxis_transform())
    axis.set_xticks(range(len(groups)), groups)
    axis.margins(y=0.15)


def _number(number: float) -> str:
    return f"{number:.0f}" if number >= 10 else f"{number:.1f}"


def _small(png: bytes) -> bytes:
    """The same picture with few colors."""
    made = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").quantize(_COLORS).save(made, "PNG", optimize=True)
    return made.getvalue()


def main() -> None:
    """Draw the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plots", description=__doc__)
    parser.add_argument("results", type=Path, nargs="*", help="files of lines (default: benchmarks/results)")
    parser.add_argument("--out", type=Path, default=PICTURE, help="the picture (default: %(default)s)")
    options = parser.parse_args()
    options.out.write_bytes(draw(read(options.results or sorted(RESULTS.glob("*.jsonl")))))
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()

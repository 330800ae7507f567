"""Plots a report: spectrum, pitch histogram and verdict. The only file that imports matplotlib."""

from importlib import import_module
from pathlib import Path

import numpy as np

from shared.domain.report import TuningReport


def plot(report: TuningReport, path: Path, *, title: str = "") -> None:
    """Write a plot of *report* to *path*, whose suffix selects the format."""
    # Imported late: only `--plot` needs matplotlib, an optional dependency.
    figure = import_module("matplotlib.figure").Figure(figsize=(9, 7), layout="constrained")
    above, below = figure.subplots(2, 1)
    if report.spectrum:
        shape = report.spectrum
        hz = np.geomspace(shape.low_hz, shape.high_hz, len(shape.levels_db))
        above.semilogx(hz, shape.levels_db, linewidth=0.8)
    above.set(xlabel="Hz", ylabel="dB", title=title)
    if report.histogram:
        below.bar(np.arange(100) - 49.5, report.histogram, width=1.0, color="0.6")
    for standard, cents in (("440", 0.0), ("432", -31.77)):
        below.axvline(cents, color="tab:blue", linestyle=":")
        below.text(cents, 1.0, f" {standard}", transform=below.get_xaxis_transform(), va="top")
    if report.deviation_440_cents is not None and report.uncertainty_cents is not None:
        middle, half = report.deviation_440_cents, report.uncertainty_cents
        below.axvspan(middle - half, middle + half, color="tab:red", alpha=0.3)
    below.set(xlabel="cents from the A4 = 440 Hz grid", xlim=(-50, 50), title=caption(report))
    figure.savefig(path, dpi=120)


def caption(report: TuningReport) -> str:
    """One line with the verdict, the pitch and the confidence."""
    if report.reason is not None or report.a4_hz is None:
        return f"inconclusive: {report.reason}"
    pitch = f"A4 = {report.a4_hz:.2f} Hz ± {report.uncertainty_cents:.1f} cents"
    return f"{report.verdict}: {pitch}, confidence {report.confidence:.2f}"

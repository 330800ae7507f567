"""Is the verdict right? Real recordings, retuned to known standards, in a table and a reliability diagram.

python -m benchmarks.tuning_verdicts FOLDER [--tracks 60] [--plot docs/tuning-reliability.png]

FOLDER holds recordings in any format that libsndfile reads, in any depth. Recordings whose first minute
lies within 10 cents of 440 are taken as meant for 440 and retuned: exactly (by their sample rate) to every
standard and to pitches between them, and to 432 with the pitch effects of sox, rubberband and ffmpeg where
these are installed.
"""

import argparse
import hashlib
import math
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from shared.domain.report import TuningReport
from worker.tuning.estimator import estimate_tuning
from worker.tuning.standards import OTHER_PRIOR, STANDARD_PRIORS, wrap_cents

Samples = NDArray[np.float32]
SECONDS = 60
SHORTEST_SECONDS = 20
MEANT_FOR_440_CENTS = 10.0
TARGETS_HZ = (440.0, 432.0, 415.3, 430.0, 435.0, 442.0, 443.0, 444.0, 437.0, 427.0)
BETWEEN_HZ = frozenset({437.0, 427.0})
CENTS_432 = 1200.0 * math.log2(432.0 / 440.0)
TOOLS = {
    "sox pitch": ("sox", "{source}", "{target}", "pitch", f"{CENTS_432:.3f}"),
    "rubberband": ("rubberband", "-q", "-p", f"{CENTS_432 / 100:.5f}", "{source}", "{target}"),
    "ffmpeg": (
        "ffmpeg",
        "-v",
        "error",
        "-y",
        "-i",
        "{source}",
        "-af",
        "rubberband=pitch=0.981818",
        "{target}",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One retuned recording and its report."""

    track: str
    method: str
    target_hz: float
    report: TuningReport

    @property
    def expected(self) -> str:
        """The right verdict. 415.3 sounds like 440 a semitone higher."""
        return {440.0: "440", 432.0: "432", 415.3: "440"}.get(self.target_hz, "other")


def main() -> None:
    """Runs the trials of a folder, prints the table and draws the diagram."""
    parser = argparse.ArgumentParser(description="Is the verdict right?")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tracks", type=int, default=60)
    parser.add_argument("--plot", type=Path, help="write the reliability diagram (PNG)")
    options = parser.parse_args()
    report_verdicts(options.folder, options.tracks, options.plot)


def report_verdicts(folder: Path, tracks: int, plot: Path | None) -> None:
    """Prints the table of up to `tracks` recordings of `folder`, and draws the diagram at `plot`."""
    trials: list[Trial] = []
    differences: list[tuple[float, float]] = []
    agreed = 0
    for track in find_tracks(folder, tracks):
        samples, rate = read(track, 0)
        base = estimate_tuning(samples, rate)
        if base.reason is not None or abs(base.deviation_440_cents or 0.0) > MEANT_FOR_440_CENTS:
            print(f"not meant for 440: {track.name}: {base.reason or f'{base.a4_hz:.1f} Hz'}")
            continue
        trials += list(retune(track.name, samples, rate))
        if soundfile.info(track).duration >= SECONDS + SHORTEST_SECONDS:
            later = estimate_tuning(*read(track, SECONDS))
            if later.reason is None:
                moved = wrap_cents((later.deviation_440_cents or 0.0) - (base.deviation_440_cents or 0.0))
                differences.append((base.confidence * later.confidence, abs(moved) / math.sqrt(2.0)))
                agreed += later.verdict == base.verdict
    print_table(trials)
    print(f"two parts of one song: the verdict agrees in {agreed} of {len(differences)}")
    if plot:
        draw(trials, differences, plot)


def find_tracks(folder: Path, limit: int) -> list[Path]:
    """Up to `limit` recordings, in an order that depends on their names only."""
    suffixes = {".ogg", ".mp3", ".flac", ".wav", ".opus"}
    files = [file for file in folder.rglob("*") if file.suffix.lower() in suffixes and file.is_file()]
    files.sort(key=lambda file: hashlib.sha256(file.name.encode()).hexdigest())
    found: list[Path] = []
    for file in files:
        if len(found) == limit:
            break
        try:
            long_enough = soundfile.info(file).duration >= SHORTEST_SECONDS
        except soundfile.LibsndfileError:
            continue
        if long_enough:
            found.append(file)
    return found


def read(file: Path, start_seconds: int) -> tuple[Samples, int]:
    """A minute of a recording, as mono samples and their rate."""
    with soundfile.SoundFile(file) as audio:
        rate = int(audio.samplerate)
        audio.seek(start_seconds * rate)
        stereo = audio.read(SECONDS * rate, dtype="float32", always_2d=True)
    return np.ascontiguousarray(stereo.mean(axis=1), np.float32), rate


def retune(track: str, samples: Samples, rate: int) -> Iterator[Trial]:
    """All trials of one recording."""
    for target in TARGETS_HZ:
        report = estimate_tuning(samples, round(rate * target / 440.0))
        yield Trial(track=track, method="exact", target_hz=target, report=report)
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder) / "source.wav", Path(folder) / "target.wav"
        soundfile.write(source, samples, rate)
        for method, command in TOOLS.items():
            if shutil.which(command[0]) is None:
                continue
            filled = [part.format(source=source, target=result) for part in command]
            subprocess.run(filled, check=True, capture_output=True)
            report = estimate_tuning(*read(result, 0))
            yield Trial(track=track, method=method, target_hz=432.0, report=report)


def print_table(trials: list[Trial]) -> None:
    """Verdicts by target and method."""
    columns = ["432", "440", "other", "inconclusive"]
    print(
        f"\n{'target':>8} {'method':<11} {'n':>4}", *(f"{column:>12}" for column in columns), f"{'right':>7}"
    )
    groups = sorted({(trial.method != "exact", trial.method, -trial.target_hz) for trial in trials})
    for _, method, negative in groups:
        some = [trial for trial in trials if trial.method == method and trial.target_hz == -negative]
        count = Counter(trial.report.verdict.value for trial in some)
        right = sum(trial.report.verdict == trial.expected for trial in some)
        counts = (f"{count[column]:12}" for column in columns)
        print(f"{-negative:8.1f} {method:<11} {len(some):4}", *counts, f"{right / len(some):7.1%}")
    print("\nretuned to 440 or 432 but not called so:")
    for trial in trials:
        if trial.target_hz in {440.0, 432.0} and trial.report.verdict != trial.expected:
            report = trial.report
            print(
                f"  {trial.track}: {trial.target_hz:g} by {trial.method}:",
                f"{report.a4_hz:.1f} Hz ± {report.uncertainty_cents:.1f} c, {report.verdict.value}"
                if report.a4_hz and report.uncertainty_cents
                else report.reason,
            )


def draw(trials: list[Trial], differences: list[tuple[float, float]], file: Path) -> None:
    """Reliability diagrams of the verdict probability and of the accuracy probability."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
    verdicts = [
        (trial.report.verdict_probability or 0.0, trial.report.verdict == trial.expected, weight_of(trial))
        for trial in trials
        if trial.method == "exact" and trial.report.verdict_probability is not None
    ]
    accuracy = [(probability, error <= 3.0, 1.0) for probability, error in differences]
    titles = ("Verdict", "Pitch within 3 cents (two parts of one song)")
    for axis, title, points in zip(axes, titles, (verdicts, accuracy), strict=True):
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        for predicted, observed, number in reliability(points):
            axis.scatter(predicted, observed, s=20 + 4 * math.sqrt(number), color="#2a6f97")
            axis.annotate(
                str(number), (predicted, observed), xytext=(6, -10), textcoords="offset points", fontsize=8
            )
        axis.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="predicted", ylabel="observed", title=title)
    figure.savefig(file, dpi=110)


def weight_of(trial: Trial) -> float:
    """The prior of the target, so that the diagram describes recordings as users send them."""
    if trial.target_hz in BETWEEN_HZ:
        return OTHER_PRIOR / len(BETWEEN_HZ)
    return STANDARD_PRIORS[float(round(trial.target_hz))]


def reliability(points: list[tuple[float, bool, float]]) -> list[tuple[float, float, int]]:
    """Weighted mean prediction, share of right ones and number of points, in bins of a tenth."""
    bins: dict[int, list[tuple[float, bool, float]]] = {}
    for point in points:
        bins.setdefault(min(9, int(10 * point[0])), []).append(point)
    result = []
    for _, some in sorted(bins.items()):
        total = sum(weight for *_, weight in some)
        predicted = sum(weight * probability for probability, _, weight in some) / total
        observed = sum(weight * right for _, right, weight in some) / total
        result.append((predicted, observed, len(some)))
    return result


if __name__ == "__main__":
    main()

"""Scores the tuning estimator, and its peers, on a folder with a manifest.

    python -m benchmarks.tuning [FOLDER]     (default: the folder in KAMMERTON_TUNING_CORPUS)

Prints cents off the truth (`abs`), off an exact ratio between two versions (`ratio`), the share of
non-music called inconclusive, CPU over one float32 rfft of the same samples, memory growth, and the verdicts
by true tuning. With `--verdicts FOLDER` it also retunes the recordings of a folder (`tuning_verdicts`).
"""

import argparse
import csv
import ctypes
import hashlib
import json
import math
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft
import soundfile
from numpy.typing import NDArray

from benchmarks.tuning_verdicts import report_verdicts
from worker.tuning.estimator import estimate_tuning

Samples = NDArray[np.float32]
Estimator = Callable[[Samples, int], dict[str, Any]]
SECONDS = 60


def ours(samples: Samples, rate: int) -> dict[str, Any]:
    report = estimate_tuning(samples, rate)
    return {
        "a4_hz": report.a4_hz,
        "verdict": report.verdict.value,
        "confidence": report.confidence,
        "uncertainty_cents": report.uncertainty_cents,
        "reason": report.reason,
    }


def dominant_peak(samples: Samples, rate: int) -> dict[str, Any]:
    """One FFT, one peak, folded: what the original service did."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    power[: int(50 * samples.size / rate)] = 0.0
    hz = float(np.argmax(power)) * rate / samples.size
    return answer(1200 * math.log2(hz / 440)) if hz > 0 else answer(None)


def answer(cents: float | None) -> dict[str, Any]:
    """A peer's answer: none of them is ever inconclusive."""
    a4_hz = None if cents is None else 440 * 2 ** (wrap(cents) / 1200)
    return {"a4_hz": a4_hz, "verdict": "music", "confidence": 1.0}


def librosa_peers() -> Iterator[tuple[str, Estimator]]:
    """`estimate_tuning` as it comes, and with a long window and a fine grid."""
    try:
        import librosa
    except ImportError:
        return

    def default(samples: Samples, rate: int) -> dict[str, Any]:
        return answer(100 * float(librosa.estimate_tuning(y=samples, sr=rate)))

    def fine(samples: Samples, rate: int) -> dict[str, Any]:
        tuning = librosa.estimate_tuning(
            y=samples, sr=rate, n_fft=16384, resolution=0.001, fmin=60, fmax=4000
        )
        return answer(100 * float(tuning))

    yield "librosa default", default
    yield "librosa 16384, fine", fine


def essentia_peers() -> Iterator[tuple[str, Estimator]]:
    """Its extractor, as AcousticBrainz ran it, and with a long window."""
    try:
        import essentia
        import essentia.standard as es
    except ImportError:
        return
    essentia.log.warningActive = False

    def extractor(samples: Samples, rate: int) -> dict[str, Any]:
        audio = es.Resample(inputSampleRate=rate, outputSampleRate=44100)(samples)
        return answer(1200 * math.log2(float(es.TuningFrequencyExtractor()(audio)[-1]) / 440))

    def framewise(size: int, hop: int, peaks: dict[str, Any]) -> Estimator:
        def run(samples: Samples, rate: int) -> dict[str, Any]:
            window = es.Windowing(type="blackmanharris62")
            spectrum = es.Spectrum()
            find = es.SpectralPeaks(sampleRate=rate, magnitudeThreshold=1e-5, **peaks)
            tuning, hz = es.TuningFrequency(), 440.0
            for frame in es.FrameGenerator(samples, frameSize=size, hopSize=hop):
                found, levels = find(spectrum(window(frame)))
                if len(found):
                    hz, _ = tuning(found, levels)
            return answer(1200 * math.log2(hz / 440))

        return run

    yield "essentia extractor", extractor
    strongest = {"minFrequency": 20, "maxFrequency": 3500, "maxPeaks": 60, "orderBy": "magnitude"}
    yield "essentia as AcousticBrainz", framewise(4096, 2048, strongest)
    many = {"minFrequency": 40, "maxFrequency": 5000, "maxPeaks": 10000}
    yield "essentia 16384/4096", framewise(16384, 4096, many)


def wrap(cents: float) -> float:
    return (cents + 50) % 100 - 50


def cents(a: float, b: float) -> float:
    return 1200 * math.log2(a / b)


def held_out(source: str) -> bool:
    """A third of the recordings, by name: chosen before anyone looked at them."""
    return int(hashlib.sha256(source.encode()).hexdigest(), 16) % 3 == 0


def growth_mb(work: Callable[[], object]) -> float:
    """Rise of the process's peak memory while `work` runs, where Linux lets us reset the peak."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        before = status_kb("VmRSS")
        work()
        return (status_kb("VmHWM") - before) / 1024
    except OSError:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        work()
        return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def status_kb(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1])


def cpu_ms(work: Callable[[], object], times: int = 3) -> float:
    best = math.inf
    for _ in range(times):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return 1000 * best


def errors(rows: list[dict[str, str]], found: dict[str, dict[str, Any]]) -> dict[str, list[float]]:
    """Signed cents off, by class, as the corpus's scorer counts them: no answer is 50 cents off."""
    base = {r["group"]: r["file"] for r in rows if r["class"] == "ratio" and float(r["ratio"]) == 1.0}
    out: dict[str, list[float]] = {"abs": [], "ratio": []}
    for row in rows:
        mine = found[row["file"]]["a4_hz"]
        if row["class"] == "abs":
            out["abs"].append(wrap(cents(mine, float(row["truth_a4_hz"]))) if mine else 50.0)
        elif row["class"] == "ratio" and float(row["ratio"]) != 1.0:
            other = found[base[row["group"]]]["a4_hz"]
            moved = cents(mine, other) - cents(float(row["ratio"]), 1) if mine and other else 50.0
            out["ratio"].append(wrap(moved))
    return out


def summary(rows: list[dict[str, str]], found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    def spread(values: list[float]) -> str:
        sizes = np.abs(values)
        return " / ".join(f"{q:.2f}" for q in np.quantile(sizes, [0.5, 0.95, 1])) if values else "-"

    off = errors(rows, found)
    music = [r for r in rows if r["class"] != "neg"]
    noise = [r for r in rows if r["class"] == "neg"]

    def silent(some: list[dict[str, str]]) -> int:
        return sum(found[r["file"]]["verdict"] == "inconclusive" for r in some)

    known = [r for r in rows if r["truth_a4_hz"] in ("432.0", "440.0")]
    right = sum(
        found[r["file"]]["verdict"] != "inconclusive"
        and min((432.0, 440.0), key=lambda s: abs(wrap(cents(found[r["file"]]["a4_hz"], s))))
        == float(r["truth_a4_hz"])
        for r in known
    )
    return {
        "abs median/p95/max": spread(off["abs"]),
        "abs signed": f"{statistics.fmean(off['abs']):+.2f}" if off["abs"] else "-",
        "ratio median/p95/max": spread(off["ratio"]),
        "432 or 440": f"{right}/{len(known)}",
        "negatives": f"{silent(noise)}/{len(noise)}",
        "music lost": f"{silent(music)}/{len(music)}",
    }


def print_verdicts(rows: list[dict[str, str]], found: dict[str, dict[str, Any]]) -> None:
    """Verdicts of the clips whose tuning is known, and of those that have none."""
    truth = {
        row["file"]: "none"
        if row["class"] == "neg"
        else {"432.0": "432", "440.0": "440"}.get(row["truth_a4_hz"], "other")
        for row in rows
        if row["class"] != "ratio"
    }
    columns = ("432", "440", "other", "inconclusive")
    print(f"\n{'truth':>8} {'n':>3}", *(f"{column:>12}" for column in columns))
    for name in ("432", "440", "other", "none"):
        verdicts = [found[file]["verdict"] for file, true in truth.items() if true == name]
        print(f"{name:>8} {len(verdicts):3}", *(f"{verdicts.count(column):12}" for column in columns))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default=os.environ.get("KAMMERTON_TUNING_CORPUS"))
    parser.add_argument("--peers", action="store_true", help="run the installed peers as well")
    parser.add_argument("--verdicts", type=Path, help="also retune the recordings of this folder")
    parser.add_argument("--tracks", type=int, default=60, help="of that folder")
    parser.add_argument("--predictions", type=Path, help="write ours as JSON lines for the scorer")
    options = parser.parse_args()
    if not options.folder:
        sys.exit("name a folder with a manifest.csv, or set KAMMERTON_TUNING_CORPUS")
    folder = Path(options.folder)
    with (folder / "manifest.csv").open() as manifest:
        rows = list(csv.DictReader(manifest))
    methods: dict[str, Estimator] = {"kammerton": ours}
    if options.peers:
        methods |= {"dominant peak": dominant_peak, **dict(librosa_peers()), **dict(essentia_peers())}
    found: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in methods}
    cost: dict[str, list[tuple[float, float, float]]] = {name: [] for name in methods}
    for index, row in enumerate(rows):
        stereo, rate = soundfile.read(folder / row["file"], frames=-1, dtype="float32", always_2d=True)
        samples = np.ascontiguousarray(stereo[: SECONDS * rate].mean(axis=1), np.float32)
        del stereo
        # The yardstick: one rfft of the clip's own length, here 60 s, which has small factors only.
        yardstick = cpu_ms(partial(scipy.fft.rfft, samples)) if index % 4 == 0 else 0.0
        for name, method in methods.items():
            found[name][row["file"]] = method(samples, rate)
            if index % 4 == 0 and row["class"] != "neg":
                run = partial(method, samples, rate)
                ms = cpu_ms(run)
                cost[name].append((ms, ms / yardstick, growth_mb(run)))
    for name in methods:
        ms, ratio, growth = (statistics.median(column) for column in zip(*cost[name], strict=True))
        print(f"\n{name}: {ms:.0f} ms CPU, {ratio:.2f} rfft, {growth:.0f} MB growth")
        parts = {"all": rows}
        if name == "kammerton":
            parts["worked on"] = [r for r in rows if not held_out(r["source"])]
            parts["held out"] = [r for r in rows if held_out(r["source"])]
        for part, some in parts.items():
            print(f"  {part:10}", json.dumps(summary(some, found[name]), ensure_ascii=False))
    print_verdicts(rows, found["kammerton"])
    if options.verdicts:
        report_verdicts(options.verdicts, options.tracks, None)
    if options.predictions:
        lines = [json.dumps({"file": file} | told) for file, told in found["kammerton"].items()]
        options.predictions.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

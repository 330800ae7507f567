"""Decodes and analyses corrupted files of every format: each must end as a result or a problem.

So must files of every layout of channels (`--format channels-aac-m4a`) and with sizes of 64 bits
(`--format sizes-w64`). Of the `seek-` formats, a later window is analysed. `--decode-only` leaves the
analysis out, which takes most of the time.

    python -m benchmarks.fuzz --count 200 --seed 1 [--format mp3-cbr …] [--only NUMBER] [--decode-only]

File *n* of a format depends only on the seed, the format and *n*. A child runs a hundred files for speed.
If it dies or exceeds its time, each file runs again in its own child, as in the worker, to find the one
that crashed. The exit status is 1 after a crash or a bug in Kammerton.
"""

import argparse
import gc
import io
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from benchmarks.fuzz_files import FORMATS, SEEK_START_SECONDS, SEEKS, fuzz_file, prepare
from shared.errors import TooComplex, Unanalysable
from worker.decoding.decode import decode
from worker.jobs.analyze_audio import analyze_audio
from worker.sandbox.limits import ChildLimits
from worker.sandbox.outcome import ChildOutcome
from worker.sandbox.parent import run_sandboxed
from worker.warm_up import warm_up

BATCH = 100
SINGLE_FILE_LIMITS = ChildLimits(memory_bytes=96 << 20, cpu_seconds=20, wall_seconds=40)
BATCH_LIMITS = ChildLimits(memory_bytes=96 << 20, cpu_seconds=120, wall_seconds=300)


def main() -> int:
    """Run all formats and print one line for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description="Analyse corrupted files.")
    parser.add_argument("--count", type=int, default=200, metavar="N", help="corrupt files of each format")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--format", action="append", choices=FORMATS, metavar="NAME", help="instead of all; may be repeated"
    )
    parser.add_argument("--only", type=int, metavar="NUMBER", help="run this file alone and show its end")
    parser.add_argument("--decode-only", action="store_true", help="decode, but do not analyse")
    options = parser.parse_args()
    warm_up()
    kinds = options.format or FORMATS
    for kind in kinds:
        prepare(kind)
    gc.collect()
    gc.freeze()
    end = end_of_decoding if options.decode_only else end_of_analysis
    if options.only is not None:
        return show(Files(kinds[0], options.seed, end), number=options.only)
    failure_count = 0
    for kind in kinds:
        started = time.monotonic()
        ends, failures = fuzz(Files(kind, options.seed, end), count=options.count)
        line = ", ".join(f"{end} {count}" for end, count in sorted(ends.items()))
        seconds = time.monotonic() - started
        print(f"{kind:22} {sum(ends.values()):6} files, {seconds:5.0f} s: {line}", flush=True)
        for failure in failures:
            print(f"    {failure}", flush=True)
        failure_count += len(failures)
    return int(failure_count > 0)


def end_of_analysis(audio: BinaryIO, start_seconds: float | None, window_seconds: float) -> str:
    """Decode and analyse one file."""
    report = analyze_audio(audio, start_seconds=start_seconds, window_seconds=window_seconds)
    return f"result ({report.tuning.verdict})"


def end_of_decoding(audio: BinaryIO, start_seconds: float | None, window_seconds: float) -> str:
    """Decode one file."""
    recording = decode(audio, start_seconds=start_seconds or 0.0, window_seconds=window_seconds)
    return "damaged" if recording.is_damaged else "decoded"


class Files(NamedTuple):
    """The corrupt files of one format and seed, and what happens to each."""

    kind: str
    seed: int
    end: Callable[[BinaryIO, float | None, float], str]

    def name(self, number: int) -> str:
        """The arguments that select one of them."""
        return f"--seed {self.seed} --format {self.kind} --only {number}"


def fuzz(files: Files, *, count: int) -> tuple[Counter[str], list[str]]:
    """Run *count* corrupt files of one format. Returns how they ended, and the crashes and bugs."""
    ends: Counter[str] = Counter()
    failures: list[str] = []
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        outcomes = [run(files, numbers=numbers, limits=BATCH_LIMITS)]
        if outcomes[0].answer is None:
            outcomes = [run(files, numbers=range(n, n + 1), limits=SINGLE_FILE_LIMITS) for n in numbers]
        for number, outcome in zip(numbers, outcomes, strict=False):
            if isinstance(outcome.problem, Unanalysable) and "SIG" not in outcome.detail:
                ends[f"{outcome.problem.code} (stopped)"] += 1
            elif outcome.answer is None:
                ends["CRASH"] += 1
                failures.append(f"{files.name(number)}: {outcome.detail}")
            else:
                answer = json.loads(outcome.answer)
                ends.update(answer["ends"])
                failures += answer["bugs"]
    return ends, failures


def run(files: Files, *, numbers: range, limits: ChildLimits) -> ChildOutcome:
    """Run some corrupt files in one child and return how each ended."""

    start, window_seconds = (SEEK_START_SECONDS, 5.0) if files.kind in SEEKS else (None, 60.0)

    def task(_: BinaryIO) -> bytes:
        ends: Counter[str] = Counter()
        bugs = []
        for number in numbers:
            try:
                audio = io.BytesIO(fuzz_file(files.kind, seed=files.seed, number=number))
                ends[files.end(audio, start, window_seconds)] += 1
            except MemoryError:
                ends[TooComplex.code] += 1
            except Unanalysable as problem:
                ends[problem.code] += 1
            except Exception as error:
                ends["BUG"] += 1
                bugs.append(f"{files.name(number)}: {error!r}")
        return json.dumps({"ends": ends, "bugs": bugs}).encode()

    return run_sandboxed(task, io.BytesIO(), limits=limits, on_tick=lambda: None)


def show(files: Files, *, number: int) -> int:
    """Run one corrupt file in its own child and print its outcome."""
    outcome = run(files, numbers=range(number, number + 1), limits=SINGLE_FILE_LIMITS)
    print(outcome.answer or repr(outcome.problem), outcome.detail)
    print(f"{outcome.cpu_seconds:.2f} s of CPU, {outcome.memory_peak_bytes >> 20} MiB")
    return int(outcome.answer is None)


if __name__ == "__main__":
    sys.exit(main())

"""Decodes and analyses corrupted files of every format: each must end as a result or a problem.

    python -m benchmarks.fuzz --count 200 --seed 1 [--format mp3-cbr …] [--only NUMBER]

File *n* of a format depends only on the seed, the format and *n*. A child runs a hundred files for speed.
If it dies or exceeds its time, each file runs again in its own child, as in the worker, to find the one
that crashed. The exit status is 1 after a crash or a bug in Kammerton.
"""

import argparse
import gc
import io
import json
import random
import sys
import time
from collections import Counter
from typing import BinaryIO

from shared.errors import TooComplex, Unanalysable
from tests.support.audio_files import KINDS, audio_file
from tests.support.format_files import FORMAT_FILES, format_file
from tests.support.hostile_files import with_ogg_checksums
from worker.jobs.analyze_audio import analyze_audio
from worker.sandbox.limits import ChildLimits
from worker.sandbox.outcome import ChildOutcome
from worker.sandbox.parent import run_sandboxed
from worker.warm_up import warm_up

ALL_KINDS = (*KINDS, *FORMAT_FILES)
BATCH = 100
SINGLE_FILE_LIMITS = ChildLimits(memory_bytes=96 << 20, cpu_seconds=20, wall_seconds=40)
BATCH_LIMITS = ChildLimits(memory_bytes=96 << 20, cpu_seconds=120, wall_seconds=300)
BOUNDARIES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


def main() -> int:
    """Run all formats and print one line for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description="Analyse corrupted files.")
    parser.add_argument("--count", type=int, default=200, metavar="N", help="corrupt files of each format")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--format", action="append", choices=ALL_KINDS, help="instead of all; may be repeated"
    )
    parser.add_argument("--only", type=int, metavar="NUMBER", help="run this file alone and show its end")
    options = parser.parse_args()
    warm_up()
    kinds = options.format or ALL_KINDS
    for kind in kinds:
        sound_file(kind)  # before the forks, so that children share it
    gc.collect()
    gc.freeze()
    if options.only is not None:
        return show(kinds[0], seed=options.seed, number=options.only)
    failure_count = 0
    for kind in kinds:
        started = time.monotonic()
        ends, failures = fuzz(kind, seed=options.seed, count=options.count)
        line = ", ".join(f"{end} {count}" for end, count in sorted(ends.items()))
        seconds = time.monotonic() - started
        print(f"{kind:15} {sum(ends.values()):6} files, {seconds:5.0f} s: {line}", flush=True)
        for failure in failures:
            print(f"    {failure}", flush=True)
        failure_count += len(failures)
    return int(failure_count > 0)


def sound_file(kind: str) -> bytes:
    """Return the file of a kind that is to be corrupted."""
    return format_file(kind) if kind in FORMAT_FILES else audio_file(kind)


def fuzz(kind: str, *, seed: int, count: int) -> tuple[Counter[str], list[str]]:
    """Run *count* corrupt files of one format. Returns how they ended, and the crashes and bugs."""
    ends: Counter[str] = Counter()
    failures: list[str] = []
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        outcomes = [run(kind, seed=seed, numbers=numbers, limits=BATCH_LIMITS)]
        if outcomes[0].answer is None:
            outcomes = [
                run(kind, seed=seed, numbers=range(n, n + 1), limits=SINGLE_FILE_LIMITS) for n in numbers
            ]
        for number, outcome in zip(numbers, outcomes, strict=False):
            if isinstance(outcome.problem, Unanalysable) and "SIG" not in outcome.detail:
                ends[f"{outcome.problem.code} (stopped)"] += 1
            elif outcome.answer is None:
                ends["CRASH"] += 1
                failures.append(f"--seed {seed} --format {kind} --only {number}: {outcome.detail}")
            else:
                answer = json.loads(outcome.answer)
                ends.update(answer["ends"])
                failures += answer["bugs"]
    return ends, failures


def run(kind: str, *, seed: int, numbers: range, limits: ChildLimits) -> ChildOutcome:
    """Analyse some corrupt files in one child and return how each ended."""

    def task(_: BinaryIO) -> bytes:
        ends: Counter[str] = Counter()
        bugs = []
        for number in numbers:
            try:
                audio = io.BytesIO(corrupt(kind, seed=seed, number=number))
                report = analyze_audio(audio, start_seconds=None, window_seconds=60)
                ends[f"result ({report.tuning.verdict})"] += 1
            except MemoryError:
                ends[TooComplex.code] += 1
            except Unanalysable as problem:
                ends[problem.code] += 1
            except Exception as error:
                ends["BUG"] += 1
                bugs.append(f"--seed {seed} --format {kind} --only {number}: {error!r}")
        return json.dumps({"ends": ends, "bugs": bugs}).encode()

    return run_sandboxed(task, io.BytesIO(), limits=limits, on_tick=lambda: None)


def show(kind: str, *, seed: int, number: int) -> int:
    """Run one corrupt file in its own child and print its outcome."""
    outcome = run(kind, seed=seed, numbers=range(number, number + 1), limits=SINGLE_FILE_LIMITS)
    print(outcome.answer or repr(outcome.problem), outcome.detail)
    print(f"{outcome.cpu_seconds:.2f} s of CPU, {outcome.memory_peak_bytes >> 20} MiB")
    return int(outcome.answer is None)


def corrupt(kind: str, *, seed: int, number: int) -> bytes:
    """Return file *number* of a format with one to eight corruptions."""
    rng = random.Random(f"{seed}/{kind}/{number}")
    file = bytearray(sound_file(kind))
    for _ in range(rng.choice((1, 1, 2, 3, 5, 8))):
        # Half of the damage goes to where headers are.
        offset = rng.randrange(min(len(file), rng.choice((512, len(file)))))
        length = rng.choice((1, 2, 4, 16, 256, 4096))
        match rng.randrange(8):
            case 0 | 1:
                file[offset : offset + 1] = bytes([rng.randrange(256)])
            case 2:
                file[offset : offset + 1] = bytes([file[offset] ^ 1 << rng.randrange(8)])
            case 3:
                width, order = rng.choice((1, 2, 4, 8)), rng.choice(("big", "little"))
                value = rng.choice(BOUNDARIES) & (1 << 8 * width) - 1
                file[offset : offset + width] = value.to_bytes(width, "big" if order == "big" else "little")
            case 4:
                del file[offset : offset + length]
            case 5:
                file[offset:offset] = file[offset : offset + length]
            case 6:
                file[offset : offset + length] = rng.randbytes(length)
            case 7:
                del file[max(offset, 16) :]
        if not file:
            return b""
    if kind.startswith("ogg") and rng.random() < 0.8:
        return with_ogg_checksums(bytes(file))  # else most of these end at a checksum
    return bytes(file)


if __name__ == "__main__":
    sys.exit(main())

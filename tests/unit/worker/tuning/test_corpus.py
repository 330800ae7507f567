"""Accuracy on real music. Needs a corpus, see docs/tuning.md."""

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from benchmarks.tuning import SECONDS, errors, ours
from shared.domain.report import Reason

CORPUS = os.environ.get("KAMMERTON_TUNING_CORPUS")
pytestmark = pytest.mark.skipif(
    not CORPUS, reason="KAMMERTON_TUNING_CORPUS names no folder with a manifest.csv"
)
Measured = tuple[list[dict[str, str]], dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def measured() -> Measured:
    folder = Path(str(CORPUS))
    with (folder / "manifest.csv").open() as manifest:
        rows = list(csv.DictReader(manifest))
    found = {}
    for row in rows:
        samples, rate = soundfile.read(folder / row["file"], dtype="float32", always_2d=True)
        mono = np.ascontiguousarray(samples[: SECONDS * rate].mean(axis=1), np.float32)
        found[row["file"]] = ours(mono, rate)
    return rows, found


def test_known_tunings_are_found_within_the_error_of_the_instruments(measured: Measured) -> None:
    off = np.abs(errors(*measured)["abs"])
    assert np.median(off) < 1.2
    assert np.quantile(off, 0.95) < 2.0
    assert off.max() < 3.0


def test_the_estimate_of_a_resampled_recording_moves_by_the_ratio(measured: Measured) -> None:
    off = np.abs(errors(*measured)["ratio"])
    assert np.median(off) < 0.2
    assert np.quantile(off, 0.95) < 0.8


def test_non_music_is_inconclusive(measured: Measured) -> None:
    rows, found = measured
    assert [r["file"] for r in rows if r["class"] == "neg" and found[r["file"]]["reason"] is None] == []


def test_music_is_rarely_inconclusive(measured: Measured) -> None:
    rows, found = measured
    music = [r["file"] for r in rows if r["class"] != "neg"]
    reasons = [found[file]["reason"] for file in music]
    assert sum(reason not in {None, Reason.AMBIGUOUS} for reason in reasons) <= 0.02 * len(music)
    assert sum(reason is not None for reason in reasons) <= 0.04 * len(music)


def test_432_and_440_are_never_confused(measured: Measured) -> None:
    rows, found = measured
    for row in rows:
        if row["truth_a4_hz"] in ("432.0", "440.0"):
            assert found[row["file"]]["verdict"] == row["truth_a4_hz"][:3], row["file"]


def test_the_interval_holds_most_true_values(measured: Measured) -> None:
    rows, found = measured
    widths = [found[r["file"]]["uncertainty_cents"] for r in rows if r["class"] == "abs"]
    assert np.mean(np.abs(errors(*measured)["abs"]) <= widths) >= 0.75

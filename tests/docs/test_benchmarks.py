"""The parts of the benchmarks that turn measurements into what we quote."""

import importlib.util
import io
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.__main__ import RUNS
from benchmarks.peers.__main__ import compare
from benchmarks.peers.songs import by_kind
from benchmarks.plots import draw


def line(
    system: str, *, songs_per_s: float, alone_s: float | None = 1.0, peak_mb: int = 400
) -> dict[str, Any]:
    return {
        "kind": "21 MB WAV",
        "limit_mb": 0,
        "clients": 8,
        "system": system,
        "songs_per_s": songs_per_s,
        "songs_per_cpu_s": songs_per_s,
        "cpu_s_per_song": 1 / songs_per_s if songs_per_s else None,
        "alone_s": alone_s,
        "idle_mb": 300,
        "peak_mb": peak_mb,
    }


def test_systems_are_compared_by_their_medians_with_the_last_one() -> None:
    rounds = [("kammerton", speed) for speed in (1.0, 2.0, 9.0)] + [("first_minute", 4.0)] * 3
    first, last = compare([line(system, songs_per_s=speed) for system, speed in rounds])
    assert (first["system"], first["median"]["songs_per_s"]) == ("kammerton", 2.0)
    assert first["over_first_minute"]["songs_per_s"] == 0.5
    assert set(last["over_first_minute"].values()) == {1.0}


def test_a_system_that_gave_no_answer_in_one_round_has_no_median() -> None:
    killed = line("whole_file", songs_per_s=0.0, alone_s=None)
    found, _ = compare([line("whole_file", songs_per_s=1.0), killed, line("first_minute", songs_per_s=2.0)])
    assert found["median"]["alone_s"] is None
    assert found["over_first_minute"]["alone_s"] is None


def test_files_of_about_one_size_are_one_kind(tmp_path: Path) -> None:
    for name, size in (
        ("a.wav", 21_100_000),
        ("b.wav", 21_900_000),
        ("c.wav", 159_000_000),
        ("d.mp3", 21_600_000),
    ):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    kinds = {kind: [song.name for song in songs] for kind, songs in by_kind(tmp_path).items()}
    assert kinds == {"21 MB MP3": ["d.mp3"], "21 MB WAV": ["a.wav", "b.wav"], "159 MB WAV": ["c.wav"]}


def test_the_plot_is_small_and_can_show_a_system_that_was_killed() -> None:
    compared = compare(
        [
            line("kammerton", songs_per_s=1.0),
            line("whole_file", songs_per_s=0.0, alone_s=None),
            line("first_minute", songs_per_s=2.0),
        ]
    )
    picture = draw([*compared, {"waiting": 10, "clients": 1, "cpu_ms": 2.0}])
    assert len(picture) < 60_000
    with Image.open(io.BytesIO(picture)) as image:
        assert image.width > 600


def test_every_benchmark_of_make_bench_exists() -> None:
    for run in RUNS:
        for arguments in (run.short, run.full):
            assert importlib.util.find_spec(f"benchmarks.{arguments[0]}") is not None

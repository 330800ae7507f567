import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.plots import RESULTS
from tools.capacity_docs import TARGET, read_costs, render


def test_the_capacity_page_is_up_to_date() -> None:
    assert TARGET.read_text() == render(), "Run `make docs`."


def test_the_numbers_follow_from_the_costs_of_one_song() -> None:
    page = render(replace(read_costs(), worker_cpu_seconds=7.0, song_bytes=1_000_000))
    rows = {line.split(" | ")[0]: line.split(" | ")[1:] for line in page.splitlines() if " | " in line}
    assert rows["| Songs per second, at the peak"] == ["0.03", "34.72", "3,472.22 |"]
    assert rows["| Cores for workers"] == ["1", "348", "34,723 |"]
    assert rows["| Uploads"] == ["34.7 KB/s", "34.7 MB/s", "3.47 GB/s |"]


def results(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (RESULTS / f"{name}.jsonl").read_text().splitlines()]


def test_the_page_quotes_what_the_benchmarks_kept() -> None:
    page = TARGET.read_text()
    song = next(line for line in results("costs") if line["kind"] == "21 MB MP3")
    assert f"| API | {song['cpu_s_api']:.2f} s of CPU |" in page
    assert f"| Storage | {song['s3_requests']:.0f} requests |" in page
    depths = results("redis_costs")
    assert {10, 10_000, 100_000} <= {line["waiting"] for line in depths}
    for line in depths:
        assert f"| {line['waiting']:,} | {line['clients']} | {line['cpu_ms']:.1f} ms |" in page
    [machine] = results("machine")
    assert f"Measured on {machine['measured_on']}" in page


def test_a_changed_result_changes_the_page(tmp_path: Path) -> None:
    for file in RESULTS.glob("*.jsonl"):
        (tmp_path / file.name).write_text(file.read_text())
    song = next(line for line in results("costs") if line["kind"] == "21 MB MP3")
    (tmp_path / "costs.jsonl").write_text(json.dumps(song | {"cpu_s_api": 98.76}))
    assert "| API | 98.76 s of CPU |" in render(read_costs(tmp_path))

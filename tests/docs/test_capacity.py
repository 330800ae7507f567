from tools.capacity_docs import TARGET, Costs, render


def test_the_capacity_page_is_up_to_date() -> None:
    assert TARGET.read_text() == render(), "Run `make docs`."


def test_the_numbers_follow_from_the_costs_of_one_song() -> None:
    page = render(Costs(worker_cpu_seconds=7.0, song_bytes=1_000_000))
    rows = {line.split(" | ")[0]: line.split(" | ")[1:] for line in page.splitlines() if " | " in line}
    assert rows["| Songs per second, at the peak"] == ["0.03", "34.72", "3,472.22 |"]
    assert rows["| Cores for workers"] == ["1", "348", "34,723 |"]
    assert rows["| Uploads"] == ["34.7 KB/s", "34.7 MB/s", "3.47 GB/s |"]

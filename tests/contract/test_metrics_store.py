import threading

from shared.ports.metrics import MetricsStore


def test_counts_are_added(count_store: MetricsStore) -> None:
    assert (count_store.read(), count_store.last_seen()) == ({}, {})
    count_store.add({"a|x": 1, "b": 0.25}, process="api", now=1.0)
    count_store.add({"a|x": 2, "c": 5_000_000_000}, process="worker", now=2.5)
    assert count_store.read() == {"a|x": 3.0, "b": 0.25, "c": 5e9}
    assert count_store.last_seen() == {"api": 1.0, "worker": 2.5}


def test_a_process_without_counts_is_still_seen(count_store: MetricsStore) -> None:
    count_store.add({}, process="rescuer", now=3.0)
    assert (count_store.read(), count_store.last_seen()) == ({}, {"rescuer": 3.0})


def test_concurrent_additions_are_all_counted(count_store: MetricsStore) -> None:
    threads = [
        threading.Thread(target=lambda: count_store.add({"a": 1}, process="api", now=1.0)) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count_store.read() == {"a": 20.0}

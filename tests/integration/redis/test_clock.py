"""The clock of Redis, on a machine whose own clock is wrong."""

import time
from types import SimpleNamespace

import pytest

from shared.redis import clock as module
from shared.redis.client import connect_redis
from shared.redis.clock import RedisClock
from tests.support.captured_logs import capture_logs
from tests.support.servers import ValkeyServer


def local_clock(monkeypatch: pytest.MonkeyPatch, *, ahead_seconds: float) -> None:
    shifted = SimpleNamespace(time=lambda: time.time() + ahead_seconds, monotonic=time.monotonic)
    monkeypatch.setattr(module, "time", shifted)


@pytest.mark.parametrize("ahead_seconds", [-300.0, -20.0, 20.0, 300.0])
def test_a_wrong_local_clock_is_corrected_and_logged_once(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch, ahead_seconds: float
) -> None:
    local_clock(monkeypatch, ahead_seconds=ahead_seconds)
    monkeypatch.setattr(module, "_MEASURE_SECONDS", 0.0)
    with connect_redis(valkey.url) as client, capture_logs() as logs:
        clock = RedisClock(client)
        for _ in range(3):
            before = time.time()
            assert before - 9 <= clock.now() <= time.time() + 9
        (line,) = logs.events("clock_skewed")
        assert line["seconds"] == pytest.approx(ahead_seconds, abs=9)
        assert "NTP" in line["action"]
        local_clock(monkeypatch, ahead_seconds=0.0)
        clock.now()
        local_clock(monkeypatch, ahead_seconds=ahead_seconds)
        clock.now()
        assert len(logs.events("clock_skewed")) == 2, "it is wrong again after it was right"


def test_a_right_local_clock_is_not_logged(valkey: ValkeyServer) -> None:
    with connect_redis(valkey.url) as client, capture_logs() as logs:
        RedisClock(client).now()
        assert logs.events("clock_skewed") == []

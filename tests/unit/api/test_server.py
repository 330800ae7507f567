from typing import Any

import pytest
import uvicorn

from api import server


def options_of(monkeypatch: pytest.MonkeyPatch, **environment: str) -> dict[str, Any]:
    """What uvicorn is started with."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(uvicorn, "run", lambda _, **options: given.update(options))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    server.main([])
    return given


def test_idle_connections_stay_open_longer_than_those_of_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    assert options_of(monkeypatch)["timeout_keep_alive"] == 75


def test_keep_alive_and_processes_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    options = options_of(monkeypatch, KAMMERTON_KEEP_ALIVE_SECONDS="20", KAMMERTON_API_PROCESSES="3")
    assert (options["timeout_keep_alive"], options["workers"]) == (20, 3)

"""Everything has a password, everything is tried, half of it fails: and no log tells any of it."""

import socket
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import redis

from tests.support.audio_files import audio_file
from tests.support.secrets import forms_of, lines_with_secrets
from tests.support.servers import running_valkey
from tests.support.system import running_system
from tests.support.webhook_receivers import socket_server

MOST_SECONDS = 120
PASSWORD, PROXY, OPERATOR = "r3dis-p4ss/word", "pr0xy p4ssword", "0perators-0wn-word"
SONG = "our wedding in May.flac"


def test_no_log_contains_a_secret_or_a_file_name(tmp_path: Path) -> None:
    asked: list[bytes] = []

    def refuse(connected: socket.socket) -> None:
        asked.append(connected.recv(65536))
        connected.sendall(b"HTTP/1.1 407 No\r\n\r\n")

    with (
        running_valkey(tmp_path) as valkey,
        socket_server(refuse) as proxy,
        redis.Redis.from_url(valkey.url) as keeper,
    ):
        keeper.config_set("requirepass", PASSWORD)
        with running_system(
            tmp_path / "data",
            KAMMERTON_REDIS_URL=f"redis://:r3dis-p4ss%2Fword@{valkey.url.rpartition('@')[2]}",
            KAMMERTON_OUTBOUND_PROXY=f"http://us:pr0xy%20p4ssword@127.0.0.1:{proxy}",
            KAMMERTON_OUTBOUND_ALLOWED_NETWORKS="127.0.0.0/8",
            KAMMERTON_WEBHOOK_RETRY_DELAYS_SECONDS="0.5,3600",
            KAMMERTON_ADMIN_PASSWORD=OPERATOR,
            KAMMERTON_LOG_LEVEL="DEBUG",
        ) as system:
            key = make_key(system.client)
            client = httpx2.Client(
                base_url=system.client.base_url, headers={"Authorization": f"Bearer {key}"}
            )
            hook = client.post("/v1/webhooks", json={"url": "https://127.0.0.1/hook?token=our-hooks-token"})
            assert hook.status_code == 201, hook.text
            jobs = [submit(client, number) for number in range(2)]
            keeper.config_set("requirepass", "another-one")
            keeper.client_kill_filter(skipme=True, _type="normal")
            until(lambda: client.get(jobs[0]).status_code == 503)
            keeper.config_set("requirepass", PASSWORD)
            until(lambda: {client.get(job).json().get("state") for job in jobs} == {"succeeded"})
            until(lambda: any(b"Proxy-Authorization: Basic " in request for request in asked))
            for wrong in ("0" * 64, "f00dcafe" * 8):
                headers = {"Authorization": f"Bearer {key.rpartition('_')[0]}_{wrong}"}
                assert system.client.get("/v1/jobs", headers=headers).status_code == 401
            client.close()
    text = system.log.read_text()
    assert "request" in text
    secrets = [PASSWORD, PROXY, OPERATOR, SONG, key.rpartition("_")[2], "our-hooks-token"]
    assert lines_with_secrets(system.log, secrets) == []


def test_a_planted_secret_is_found_in_every_form(tmp_path: Path) -> None:
    log = tmp_path / "planted.log"
    for form in forms_of(PASSWORD):
        log.write_bytes(b"a line\nAuthorization: Basic " + form + b" and more\n")
        assert lines_with_secrets(log, [PASSWORD]) == [f"{log}:2: {PASSWORD}"]


def make_key(client: httpx2.Client) -> str:
    """Made by an operator on the dashboard."""
    browser = {"Sec-Fetch-Site": "same-origin"}
    entered = client.post("/admin/login", data={"password": OPERATOR}, headers=browser)
    assert entered.status_code == 303, entered.text
    made = client.post(
        "/admin/api/keys",
        json={"name": "ours", "scopes": ["jobs:read", "jobs:write"]},
        headers=browser,
    )
    assert made.status_code == 201, made.text
    return str(made.json()["token"])


def submit(client: httpx2.Client, number: int) -> str:
    answer = client.post(
        "/v1/jobs",
        files={"file": (SONG, audio_file("flac", seconds=3.0), "audio/flac")},
        headers={"Idempotency-Key": f"a-key-of-our-own-{number}"},
    )
    assert answer.status_code == 202, answer.text
    return str(answer.headers["location"])


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + MOST_SECONDS
    while not true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)

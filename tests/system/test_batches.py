"""Batches and songs that come again, through real processes: a real S3, real webhooks, real kills."""

import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
import standardwebhooks

from shared.errors import Unavailable
from tests.support.audio_files import audio_file
from tests.support.audio_servers import serve_ranges
from tests.support.system import System, running_system
from tests.support.webhook_receivers import WebhookReceiver, running_receiver

SONG = audio_file("flac", seconds=3.0)
BROKEN = b"fLaC" + bytes(5000)
OPEN = {
    "KAMMERTON_OUTBOUND_ALLOWED_NETWORKS": "127.0.0.0/8",
    "KAMMERTON_WEBHOOK_ALLOW_HTTP": "true",
    "KAMMERTON_SOURCE_ALLOW_HTTP": "true",
    "KAMMERTON_WEBHOOK_RETRY_DELAYS_SECONDS": ",".join(["0.2"] * 50),
    "KAMMERTON_LEASE_SECONDS": "5",
    "KAMMERTON_JOB_ATTEMPTS": "9",
    "KAMMERTON_REUSE_REPORTS": "true",
}
MOST_SECONDS = 300


def upload(system: System, body: bytes = SONG, name: str = "song.flac") -> str:
    options = {"bytes": len(body), "media_type": "audio/flac", "filename": name}
    offer = system.client.post("/v1/uploads", json=options).json()
    request = offer["requests"][0]
    sent = httpx2.put(request["url"], content=body, headers=request["headers"])
    assert sent.status_code == 200, sent.text
    return str(offer["upload_id"])


def until(true: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + MOST_SECONDS
    while True:
        try:
            found = true()
        except (httpx2.HTTPError, ValueError, Unavailable):
            found = None  # killed, and not back yet
        if found:
            return found
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.1)


def completed(system: System, location: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        answer = system.client.get(location)
        assert answer.status_code in {200, 503}, answer.text
        batch: dict[str, Any] = answer.json()
        return batch if batch.get("state") == "completed" else None

    batch: dict[str, Any] = until(look)
    return batch


def told(receiver: WebhookReceiver, secret: str) -> dict[str, dict[str, Any]]:
    """Verified bodies by their webhook-id; repeated ones are the same to the byte."""
    bodies: dict[str, bytes] = {}
    for got in receiver.requests:
        standardwebhooks.Webhook(secret).verify(got.body, got.headers)
        assert bodies.setdefault(got.headers["webhook-id"], got.body) == got.body
    return {name: json.loads(body) for name, body in bodies.items()}


@pytest.fixture(scope="module")
def reaching(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running_system(tmp_path_factory.mktemp("batches") / "data", **OPEN) as running:
        yield running


def test_uploads_and_source_urls_of_a_batch_are_analyzed_and_its_webhook_is_sent(reaching: System) -> None:
    with running_receiver() as receiver, running_receiver(serve_ranges(SONG)) as server:
        items = [
            {"upload_id": upload(reaching, name="first.flac")},
            {"upload_id": upload(reaching, BROKEN)},
            {"source_url": server.url, "filename": "third.flac"},
        ]
        options = {"items": items, "name": "three", "callback_url": receiver.url}
        answer = reaching.client.post("/v1/batches", json=options)
        assert answer.status_code == 202, answer.text
        secret = answer.json()["callback_secret"]
        batch = completed(reaching, answer.headers["location"])
        assert [item["state"] for item in batch["items"]] == ["succeeded", "failed", "succeeded"]
        assert [item["filename"] for item in batch["items"]] == ["first.flac", "song.flac", "third.flac"]
        assert abs(batch["items"][2]["a4_hz"] - 440.0) < 0.3
        job = reaching.client.get(f"/v1/jobs/{batch['items'][0]['job_id']}").json()
        assert job["report"]["a4_hz"] == batch["items"][0]["a4_hz"]
        until(lambda: receiver.requests)
        until(lambda: states(reaching, answer.headers["location"]) == ["delivered"])
        ((_, body),) = told(receiver, secret).items()
    assert (body["type"], body["data"]["id"]) == ("batch.completed", batch["id"])
    assert body["data"]["counts"] == batch["counts"]
    assert [item["a4_hz"] for item in body["data"]["items"]] == [item["a4_hz"] for item in batch["items"]]
    assert reaching.client.delete(answer.headers["location"]).status_code == 204
    assert reaching.client.get(f"/v1/jobs/{job['id']}").status_code == 404
    until(lambda: reaching.stored() == [])


def states(system: System, location: str) -> list[str]:
    return [delivery["state"] for delivery in system.client.get(location).json()["deliveries"]]


def test_a_song_that_is_sent_again_is_answered_at_once_and_sends_a_webhook(reaching: System) -> None:
    song = audio_file("flac", seconds=2.0)
    headers = {"Content-Type": "audio/flac"}
    first = reaching.finished(reaching.submit(song, **headers))
    with running_receiver() as receiver:
        answer = reaching.client.post(
            "/v1/jobs", content=song, headers=headers, params={"callback_url": receiver.url}
        ).json()
        assert (answer["state"], answer["cached"], answer["attempts"]) == ("succeeded", True, 0)
        assert {**answer["report"], "audio": None} == {**first["report"], "audio": None}
        until(lambda: receiver.requests)
        ((_, body),) = told(receiver, answer["callback_secret"]).items()
    assert (body["type"], body["data"]["cached"]) == ("job.succeeded", True)
    until(lambda: reaching.stored() == [])


def test_a_batch_completes_through_kills_and_its_webhook_has_one_id(reaching: System) -> None:
    victims = ("worker run", "valkey-server", "worker background", "weed", "api serve")
    with running_receiver() as receiver:
        items = [{"upload_id": upload(reaching)} for _ in range(12)]
        options = {"items": items, "callback_url": receiver.url}
        answer = reaching.client.post("/v1/batches", json=options)
        assert answer.status_code == 202, answer.text
        location = answer.headers["location"]
        for done, victim in enumerate(victims, 1):

            def some_are_done(least: int = done) -> bool:
                return int(reaching.client.get(location).json().get("done", 0)) >= least

            until(some_are_done)
            os.kill(reaching.pid_of(victim), signal.SIGKILL)
        batch = completed(reaching, location)
        assert batch["counts"]["succeeded"] == len(items)
        until(lambda: states(reaching, location) == ["delivered"])
        ((_, body),) = told(receiver, answer.json()["callback_secret"]).items()
        assert body["data"]["counts"]["succeeded"] == len(items)
        until(lambda: reaching.stored() == [])

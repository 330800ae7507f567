"""What a webhook says, and that others believe it."""

import base64
import datetime
import json
import time

import pytest
import standardwebhooks
import svix.webhooks

from shared.domain.job import Job
from shared.domain.job_fields import AudioInput, Problem
from shared.domain.webhooks.events import (
    DEFAULT_EVENTS,
    EventType,
    Secrets,
    event_body,
    event_for_change,
    new_secret,
    parse_events,
    signature,
)
from shared.errors import BadRequest
from shared.redis.webhooks.outbox import WebhookOutbox
from shared.schemas.job import JobView
from shared.schemas.webhook_event import job_event
from tests.support.factories import make_job, make_report

LIBRARIES = pytest.mark.parametrize(
    "library", [standardwebhooks.Webhook, svix.webhooks.Webhook], ids=["standardwebhooks", "svix"]
)
REFUSED = (standardwebhooks.WebhookVerificationError, svix.webhooks.WebhookVerificationError)
BODY = event_body(EventType.SUCCEEDED, {"input": {"filename": "söng \u2028 \x00 🎵.mp3"}}, at=1.5)


def headers(body: str, *secrets: str, timestamp: float | None = None) -> dict[str, str]:
    at = int(time.time() if timestamp is None else timestamp)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at),
        "webhook-signature": signature("msg_1", body, timestamp=at, secrets=secrets),
    }


@LIBRARIES
def test_receivers_accept_our_signature(library: type) -> None:
    secret = new_secret()
    library(secret).verify(BODY.encode(), headers(BODY, secret))


@LIBRARIES
def test_receivers_accept_either_secret_during_a_rotation(library: type) -> None:
    old = Secrets.new(now=0.0)
    new = old.rotate(now=100.0, overlap_seconds=50.0)
    during = headers(BODY, *new.valid(now=149.0))
    library(old.current).verify(BODY.encode(), during)
    library(new.current).verify(BODY.encode(), during)
    with pytest.raises(REFUSED):
        library(old.current).verify(BODY.encode(), headers(BODY, *new.valid(now=151.0)))


@LIBRARIES
def test_receivers_refuse_a_body_changed_by_one_byte(library: type) -> None:
    secret = new_secret()
    sent = headers(BODY, secret)
    for place in range(0, len(BODY.encode()), 7):
        changed = bytearray(BODY.encode())
        changed[place] = ord("x") if changed[place] != ord("x") else ord("y")
        try:
            text = bytes(changed).decode()
        except UnicodeDecodeError:
            continue
        with pytest.raises(REFUSED):
            library(secret).verify(text, sent)


@LIBRARIES
@pytest.mark.parametrize("seconds", [-3600, -301, 310])
def test_receivers_refuse_another_time(library: type, seconds: float) -> None:
    secret = new_secret()
    with pytest.raises(REFUSED):
        library(secret).verify(BODY, headers(BODY, secret, timestamp=time.time() + seconds))


@LIBRARIES
def test_receivers_refuse_another_secret_and_another_id(library: type) -> None:
    secret = new_secret()
    with pytest.raises(REFUSED):
        library(new_secret()).verify(BODY, headers(BODY, secret))
    with pytest.raises(REFUSED):
        library(secret).verify(BODY, headers(BODY, secret) | {"webhook-id": "msg_2"})


def test_the_signature_is_that_of_the_reference_library() -> None:
    secret, at = new_secret(), datetime.datetime(2026, 11, 22, 17, 0, 0, tzinfo=datetime.UTC)
    theirs = standardwebhooks.Webhook(secret).sign(msg_id="msg_1", timestamp=at, data=BODY)
    assert signature("msg_1", BODY, timestamp=int(at.timestamp()), secrets=[secret]) == theirs


def test_a_secret_is_256_random_bits_behind_its_prefix() -> None:
    secret = new_secret()
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert secret != new_secret()


def test_few_secrets_are_valid_at_once_and_none_is_in_the_repr() -> None:
    secrets = Secrets.new(now=0.0)
    for number in range(5):
        secrets = secrets.rotate(now=float(number), overlap_seconds=1000.0)
    assert len(secrets.valid(now=10.0)) == 3
    assert "whsec_" not in repr(secrets)


def _running() -> Job:
    return make_job().start(worker="w", now=2.0, lease_seconds=60)


def test_every_final_state_of_a_job_is_one_event() -> None:
    problem = Problem(code="undecodable", message="No.", retryable=False)
    running = _running()
    ends = {
        EventType.SUCCEEDED: running.succeed(1, make_report(), now=3.0),
        EventType.FAILED: running.fail(1, problem, now=3.0),
        EventType.CANCELED: running.cancel(now=3.0).confirm_cancel(1, now=4.0),
    }
    for kind, end in ends.items():
        assert event_for_change(running, end) is kind
        assert event_for_change(end, end.mark_audio_deleted()) is None
    assert event_for_change(make_job(), running) is EventType.STARTED
    assert event_for_change(None, make_job()) is None
    last = make_job(attempts=2).start(worker="w", now=2.0, lease_seconds=60)
    assert event_for_change(last, last.crash(3, "died", now=3.0, delay_seconds=0)) is EventType.DEAD
    assert event_for_change(running, running.crash(1, "died", now=3.0, delay_seconds=0)) is None


def test_events_are_selected_by_name_and_default_to_the_final_states() -> None:
    assert parse_events([]) == DEFAULT_EVENTS
    assert EventType.STARTED not in DEFAULT_EVENTS
    assert parse_events(["job.failed", " job.started ", "job.failed"]) == ("job.started", "job.failed")
    for unknown in ("job.exploded", "webhook.test", "*"):
        with pytest.raises(BadRequest):
            parse_events([unknown])


def test_an_event_shows_the_job_as_the_api_does() -> None:
    old = make_job(owner="key-1", version=1).start(worker="w", now=2.0, lease_seconds=60)
    new = old.succeed(1, make_report(), now=3.25)
    event = job_event(old, new)
    assert event is not None
    body = json.loads(event.body)
    data = JobView.of(new).model_dump(mode="json")
    for left_out in ("spectrum", "histogram"):
        del data["report"][left_out]
    del data["queue_position"], data["queue_wait_seconds"]
    assert body == {
        "type": "job.succeeded",
        "version": "1",
        "timestamp": "1970-01-01T00:00:03.250Z",
        "data": data,
    }
    assert body["data"]["report"]["verdict"] == "432"
    assert event == job_event(old, new)


def test_the_largest_event_is_smaller_than_20_kilobytes() -> None:
    name = AudioInput(filename="🎵" * 200, media_type="audio/mpeg", size_bytes=10**10, sha256="ab" * 32)
    job = make_job(owner="key-1", version=1, input=name)
    for number in range(40):
        job = job.start(worker="worker-with-a-long-name:12345", now=number, lease_seconds=1)
        job = job.release(job.attempts, "storage is unavailable", now=number, delay_seconds=0)
    job = job.start(worker="w", now=100.0, lease_seconds=1)
    event = job_event(job, job.succeed(job.attempts, make_report(), now=101.0))
    assert event is not None
    assert len(event.body.encode()) < 20_000


def test_a_job_without_receivers_has_no_event() -> None:
    outbox = WebhookOutbox(prefix="k:")
    running = _running()
    done = running.succeed(1, make_report(), now=3.0)
    assert outbox(running, done) == []
    assert outbox(None, make_job(owner="key-1")) == []
    assert [command[0] for command in outbox(running, make_job(owner="key-1", state="failed"))] == [
        "SET",
        "ZADD",
    ]

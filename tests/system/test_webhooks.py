"""Senders and Valkey in real processes, killed while they work; receivers that misbehave."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from shared.domain.job import Job
from shared.domain.job_fields import Callback
from shared.domain.job_state import JobState
from shared.domain.webhooks.delivery import Delivery, DeliveryState, delivery_id
from shared.domain.webhooks.events import new_secret
from shared.errors import Unavailable
from shared.ports.webhooks import DeliveryQuery
from shared.redis.client import connect_redis
from shared.redis.jobs.store import RedisJobStore
from shared.redis.webhooks.deliveries import RedisDeliveryStore
from shared.redis.webhooks.endpoints import RedisEndpointStore
from shared.redis.webhooks.outbox import WebhookOutbox
from shared.schemas.webhook_event import job_event
from tests.support.audio_files import audio_file
from tests.support.factories import make_job, make_report
from tests.support.fakes.webhooks import make_endpoint
from tests.support.servers import ValkeyServer, running_valkey
from tests.support.system import running_system
from tests.support.webhook_receivers import (
    ReceivedRequest,
    Reply,
    hang,
    running_receiver,
    socket_server,
    trickle,
)

ROOT = Path(__file__).parents[2]
PREFIX = "hooked:"
OPEN = {"KAMMERTON_OUTBOUND_ALLOWED_NETWORKS": "127.0.0.0/8", "KAMMERTON_WEBHOOK_ALLOW_HTTP": "true"}
MOST_SECONDS = 120


class Office:
    """What workers do to jobs, over a real server, with its real outbox."""

    def __init__(self, url: str) -> None:
        client = connect_redis(url)
        self.jobs = RedisJobStore(client, prefix=PREFIX, followers=[WebhookOutbox(prefix=PREFIX)])
        self.deliveries = RedisDeliveryStore(client, prefix=PREFIX)
        self.endpoints = RedisEndpointStore(client, prefix=PREFIX)

    def finish_job(self, job_id: str, **fields: Any) -> str:
        """Make a job and end it; the id of the delivery to its callback."""
        stubborn(lambda: self.jobs.add(make_job(job_id, keep_seconds=3600.0, **fields)))
        stubborn(lambda: self.jobs.change(job_id, _start))
        old = stubborn(lambda: self.jobs.get(job_id))
        new = stubborn(lambda: self.jobs.change(job_id, _succeed))
        event = job_event(old, new)
        assert event is not None
        return delivery_id(event.id, "callback")


def _start(job: Job) -> Job:
    return job if job.state is JobState.RUNNING else job.start(worker="w", now=time.time(), lease_seconds=60)


def _succeed(job: Job) -> Job:
    return job if job.state.is_final else job.succeed(1, make_report(), now=time.time())


def stubborn(act: Callable[[], Any]) -> Any:
    """Until the server has said yes: as a worker or a client does."""
    while True:
        try:
            return act()
        except Unavailable:
            time.sleep(0.05)
        except Exception as error:
            if "exists already" in str(error):  # the yes was lost on the way
                return None
            raise


@contextmanager
def running_sender(url: str, **settings: str) -> Iterator["subprocess.Popen[bytes]"]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KAMMERTON_")}
    env = clean | OPEN | {"KAMMERTON_REDIS_URL": url, "KAMMERTON_REDIS_PREFIX": PREFIX} | settings
    command = [sys.executable, "-m", "worker", "webhooks"]
    with subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + MOST_SECONDS
    while not true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    with running_valkey(tmp_path) as running:
        yield running


def test_no_webhook_is_lost_through_kills_of_notifiers_and_redis(server: ValkeyServer) -> None:
    office, secrets, promised = Office(server.url), {}, set()
    settings = {"KAMMERTON_WEBHOOK_RETRY_DELAYS_SECONDS": ",".join(["0.2"] * 50)}
    calls = itertools.count()

    def moody(_: ReceivedRequest) -> Reply:
        number = next(calls)
        time.sleep(0.01)
        return (503, {}, b"") if number % 3 == 0 else (200, {}, b"")

    with ExitStack() as stack, running_receiver(moody) as receiver:
        senders = [stack.enter_context(running_sender(server.url, **settings)) for _ in range(2)]
        for number in range(60):
            secret = new_secret()
            callback = Callback(url=f"{receiver.url}?{number}", events=("job.succeeded",), secret=secret)
            promised.add(office.finish_job(f"job-{number}", callback=callback))
            secrets[f"/hook?{number}"] = secret
            if number % 12 == 7:
                senders.pop(0).send_signal(signal.SIGKILL)
                senders.append(stack.enter_context(running_sender(server.url, **settings)))
            if number % 25 == 20:
                server.server.kill()
                server.server.start()
        until(lambda: promised <= {got.headers["webhook-id"] for got in receiver.requests})
        until(lambda: all(office.deliveries.get(one).state is DeliveryState.DELIVERED for one in promised))
        requests = list(receiver.requests)
    said: dict[str, set[bytes]] = {}
    for got in requests:
        standardwebhooks.Webhook(secrets[got.path]).verify(got.body, got.headers)
        said.setdefault(got.headers["webhook-id"], set()).add(got.body)
    assert set(said) == promised
    assert all(len(bodies) == 1 for bodies in said.values())


def test_an_attempt_interrupted_by_a_kill_is_repeated_with_the_same_id(server: ValkeyServer) -> None:
    office, hold = Office(server.url), threading.Event()

    def slow_at_first(_: ReceivedRequest) -> Reply:
        if not hold.is_set():
            hold.wait(60)
        return 200, {}, b""

    settings = {"KAMMERTON_WEBHOOK_TIMEOUT_SECONDS": "8"}
    with running_receiver(slow_at_first) as receiver:
        callback = Callback(url=receiver.url, events=("job.succeeded",), secret=new_secret())
        promised = office.finish_job("job-1", callback=callback)
        with running_sender(server.url, **settings) as sender:
            until(lambda: len(receiver.requests) == 1)
            sender.kill()
        hold.set()
        assert office.deliveries.get(promised).leased
        with running_sender(server.url, **settings):
            until(lambda: office.deliveries.get(promised).state is DeliveryState.DELIVERED)
        first, second = receiver.requests
        assert first.headers["webhook-id"] == second.headers["webhook-id"] == promised
        assert first.body == second.body
        assert office.deliveries.get(promised).tries == 2


def test_bad_receivers_do_not_delay_good_ones(server: ValkeyServer) -> None:
    office = Office(server.url)
    with (
        ExitStack() as stack,
        socket_server(hang) as hanging,
        socket_server(_answer_byte_by_byte) as slow,
        running_receiver(lambda _: (500, {}, b"")) as failing,
    ):
        bad = [f"http://127.0.0.1:{hanging}/", f"http://127.0.0.1:{slow}/", failing.url]
        good = [stack.enter_context(running_receiver()) for _ in range(50)]
        for number in range(30):
            office.finish_job(f"bad-{number}", callback=_callback(bad[number % 3]))
        promised = [
            office.finish_job(f"good-{number}", callback=_callback(receiver.url))
            for number, receiver in enumerate(good)
        ]
        with running_sender(server.url):
            until(lambda: all(receiver.requests for receiver in good))
            held = [one for one in _deliveries(office, "bad", 30) if one.url in bad[:2]]
            assert [one.attempts for one in held] == [()] * 20
            until(lambda: all(_delivered(office, one) for one in promised))
        assert [len(receiver.requests) for receiver in good] == [1] * 50


def test_every_endpoint_of_a_key_gets_its_webhooks_and_a_removed_one_does_not(
    server: ValkeyServer,
) -> None:
    office = Office(server.url)
    with (
        running_receiver() as good,
        running_receiver(lambda _: (410, {}, b"")) as gone,
        running_sender(server.url),
    ):
        for number, receiver in enumerate((good, gone)):
            office.endpoints.add(make_endpoint(number, url=receiver.url))
        office.finish_job("job-1", owner="key-1")
        until(lambda: office.endpoints.get("ep_1").disabled_at is not None and bool(good.requests))
        office.finish_job("job-2", owner="key-1")
        until(lambda: len(good.requests) == 2)
        secret = office.endpoints.secrets("key-1").current
    for got in good.requests:
        standardwebhooks.Webhook(secret).verify(got.body, got.headers)
    assert [json.loads(got.body)["data"]["id"] for got in good.requests] == ["job-1", "job-2"]
    assert len(gone.requests) == 1


def test_an_analyzed_song_sends_its_webhook(tmp_path: Path) -> None:
    with running_receiver() as receiver, running_system(tmp_path / "data", **OPEN) as system:
        answer = system.client.post(
            "/v1/jobs",
            content=audio_file("flac", seconds=3.0),
            params={"callback_url": receiver.url, "events": "job.started,job.succeeded"},
            headers={"Content-Type": "audio/flac"},
        ).json()
        job = system.finished(answer["links"]["self"])
        until(lambda: len(receiver.requests) == 2)
        told = {
            body["type"]: body
            for got in receiver.requests
            if (body := standardwebhooks.Webhook(answer["callback_secret"]).verify(got.body, got.headers))
        }
        assert told["job.started"]["data"]["state"] == "running"
        assert told["job.succeeded"]["data"]["id"] == job["id"]
        assert told["job.succeeded"]["data"]["report"]["verdict"] == job["report"]["verdict"]
        until(lambda: _states(system.client.get(job["links"]["self"]).json()) == ["delivered"] * 2)
        assert answer["callback_secret"] not in system.log.read_text()


def _states(job: dict[str, Any]) -> list[str]:
    return [delivery["state"] for delivery in job["deliveries"]]


def _answer_byte_by_byte(connected: Any) -> None:
    connected.recv(65536)
    with contextlib.suppress(OSError):
        trickle(connected)


def _callback(url: str) -> Callback:
    return Callback(url=url, events=("job.succeeded",), secret=new_secret())


def _deliveries(office: Office, name: str, count: int) -> list[Delivery]:
    return [
        one
        for number in range(count)
        for one in office.deliveries.page(DeliveryQuery(job_id=f"{name}-{number}"))
    ]


def _delivered(office: Office, delivery: str) -> bool:
    return office.deliveries.get(delivery).state is DeliveryState.DELIVERED

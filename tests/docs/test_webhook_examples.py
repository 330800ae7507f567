"""The receivers of docs/webhooks.md, run as they stand there."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.domain.webhooks.delivery import Delivery, DeliveryState
from shared.domain.webhooks.events import new_secret
from shared.outbound.address_rules import HttpResponse, OutboundRules, parse_networks
from shared.outbound.client import OutboundClient
from shared.schemas.webhook_event import job_event
from tests.support.factories import make_job, make_report
from tests.support.fakes.webhooks import MemoryDeliveryStore, MemoryEndpointStore, make_delivery
from worker.webhooks.deliver import DeliveryConfig, DeliveryWorker

DOCS = Path(__file__).parents[2] / "docs" / "webhooks.md"
EXAMPLES = dict(re.findall(r"<!-- (receive_\S+) -->\n```\w+\n(.*?)```", DOCS.read_text(), re.DOTALL))
SECRET = new_secret()


@pytest.fixture(params=sorted(EXAMPLES))
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a running example."""
    name = request.param
    folder = request.getfixturevalue("node_modules") if name.endswith(".mjs") else tmp_path
    script = folder / name
    script.write_text(EXAMPLES[name])
    program = ["node"] if name.endswith(".mjs") else [sys.executable]
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    env = {**os.environ, "WEBHOOK_SECRET": SECRET, "PORT": str(port)}
    with subprocess.Popen([*program, str(script)], env=env, stdout=subprocess.DEVNULL) as process:
        try:
            while True:
                assert process.poll() is None, "the example ended"
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    time.sleep(0.05)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.kill()


class Meddler(OutboundClient):
    """Somebody on the way who changes one byte."""

    def send(self, *address: Any, content: bytes = b"", **more: Any) -> HttpResponse:
        return super().send(*address, content=content.replace(b'"432"', b'"433"', 1), **more)


def deliver(
    url: str, *, secret: str = SECRET, late_seconds: float = 0.0, way: type[OutboundClient] = OutboundClient
) -> Delivery:
    running = make_job(owner="key-1").start(worker="w", now=1.0, lease_seconds=9)
    event = job_event(running, running.succeed(1, make_report(), now=2.0))
    assert event is not None
    deliveries = MemoryDeliveryStore()
    deliveries.add(make_delivery(url=url, body=event.body, secret=secret))
    notifier = DeliveryWorker(
        deliveries=deliveries,
        endpoints=MemoryEndpointStore(),
        outbound=way(rules=OutboundRules(networks=parse_networks("127.0.0.0/8"))),
        config=DeliveryConfig(timeout_seconds=10, allow_http=True),
        clock=lambda: time.time() - late_seconds,
    )
    after = notifier.deliver("msg_1")
    assert after is not None
    return after


def test_there_is_one_example_for_each_library_and_language() -> None:
    assert sorted(EXAMPLES) == [
        "receive_standardwebhooks.mjs",
        "receive_standardwebhooks.py",
        "receive_svix.mjs",
        "receive_svix.py",
    ]


def test_it_takes_ours_and_refuses_what_is_not(receiver: str) -> None:
    assert deliver(receiver).state is DeliveryState.DELIVERED
    assert deliver(receiver).state is DeliveryState.DELIVERED
    for refused in (
        deliver(receiver, secret=new_secret()),
        deliver(receiver, late_seconds=400),
        deliver(receiver, late_seconds=-400),
        deliver(receiver, way=Meddler),
    ):
        assert refused.attempts[0].status == 400
    assert deliver(receiver).state is DeliveryState.DELIVERED

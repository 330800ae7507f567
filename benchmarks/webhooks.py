"""Do bad receivers delay good ones? `python -m benchmarks.webhooks`: one run, two rounds, one ratio.

Both rounds send one webhook to each of fifty good receivers, 20 ms apart, by one real sender over a real
Valkey that has sent to each of them before. In the second, three servers misbehave first, with forty webhooks
each: one hangs, one answers 500, one answers byte by byte. A good one's delay is from the change of its job
to the arrival of its webhook.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from shared.domain.job_fields import Callback
from shared.domain.webhooks.events import new_secret
from shared.redis.client import connect_redis
from shared.redis.jobs.store import RedisJobStore
from shared.redis.webhooks.outbox import WebhookOutbox
from tests.support.factories import make_job, make_report
from tests.support.servers import running_valkey
from tests.support.webhook_receivers import WebhookReceiver, hang, running_receiver, socket_server, trickle

ROOT = Path(__file__).parents[1]
GOOD, BAD_EACH, ROUNDS = 50, 40, 5
APART_SECONDS = 0.02


def main() -> None:
    """Print one line for each round, and the ratio of the medians."""
    alone, mixed = [], []
    for _ in range(ROUNDS):
        alone += round_of(bad=False)
        mixed += round_of(bad=True)
    for name, delays in (("alone", alone), ("next to bad ones", mixed)):
        print(
            f"{name:>16}: median {1000 * statistics.median(delays):.0f} ms, worst {1000 * max(delays):.0f} ms"
        )
    print(
        f"ratio of medians {statistics.median(mixed) / statistics.median(alone):.2f},"
        f" of the worst {max(mixed) / max(alone):.2f}"
    )


def round_of(*, bad: bool) -> list[float]:
    """Seconds of delay of each good receiver."""
    with ExitStack() as stack:
        url = stack.enter_context(running_valkey()).url
        jobs = RedisJobStore(connect_redis(url), prefix="b:", followers=[WebhookOutbox(prefix="b:")])
        hanging, slow = (
            stack.enter_context(socket_server(hang)),
            stack.enter_context(socket_server(byte_by_byte)),
        )
        failing = stack.enter_context(running_receiver(lambda _: (500, {}, b""))).url
        good = [stack.enter_context(running_receiver()) for _ in range(GOOD)]
        stack.enter_context(running_sender(url))
        warm(jobs, good)
        if bad:
            for number in range(BAD_EACH):
                for address in (f"http://127.0.0.1:{hanging}/", f"http://127.0.0.1:{slow}/", failing):
                    finish(jobs, f"bad-{number}-{address}", address)
            time.sleep(1)
        ended = []
        for number, receiver in enumerate(good):
            ended.append(finish(jobs, f"good-{number}", receiver.url))
            time.sleep(APART_SECONDS)
        wait_for(good, requests=2)
        return [receiver.requests[1].at - at for receiver, at in zip(good, ended, strict=True)]


def finish(jobs: RedisJobStore, job_id: str, url: str) -> float:
    """End one job with a callback; when that was, on the monotonic clock."""
    callback = Callback(url=url, events=("job.succeeded",), secret=new_secret())
    jobs.add(make_job(job_id, callback=callback, keep_seconds=3600.0))
    jobs.change(job_id, lambda job: job.start(worker="w", now=time.time(), lease_seconds=60))
    jobs.change(job_id, lambda job: job.succeed(1, make_report(), now=time.time()))
    return time.monotonic()


def warm(jobs: RedisJobStore, receivers: list[WebhookReceiver]) -> None:
    """Let the sender send to each once: its threads have started, its modules are loaded."""
    for number, receiver in enumerate(receivers):
        finish(jobs, f"warm-{number}", receiver.url)
    wait_for(receivers, requests=1)


def wait_for(receivers: list[WebhookReceiver], *, requests: int) -> None:
    """Until each was asked so often."""
    while not all(len(receiver.requests) >= requests for receiver in receivers):
        time.sleep(0.01)


def byte_by_byte(connected: Any) -> None:
    """Answer forever."""
    connected.recv(65536)
    with contextlib.suppress(OSError):
        trickle(connected)


@contextlib.contextmanager
def running_sender(url: str) -> Any:
    """One `python -m worker webhooks` with its defaults."""
    settings = {
        "KAMMERTON_REDIS_URL": url,
        "KAMMERTON_REDIS_PREFIX": "b:",
        "KAMMERTON_OUTBOUND_ALLOWED_NETWORKS": "127.0.0.0/8",
        "KAMMERTON_WEBHOOK_ALLOW_HTTP": "true",
    }
    command = [sys.executable, "-m", "worker", "webhooks"]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | settings, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


if __name__ == "__main__":
    main()

"""Addresses through real processes: the API records, a worker fetches, from servers good and bad."""

import itertools
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from playwright.sync_api import expect

from tests.support.audio_files import audio_file
from tests.support.audio_servers import ranged, requested_range, serve_ranges, whole
from tests.support.browser import chromium_path, running_browser
from tests.support.music import make_song
from tests.support.system import System, running_system
from tests.support.webhook_receivers import ReceivedRequest, Reply, hang, running_receiver, socket_server
from tests.system.test_smoke import MIB, make_wav

SECRET = "?signature=t0psecret"
OPEN = {
    "KAMMERTON_OUTBOUND_ALLOWED_NETWORKS": "127.0.0.0/8",
    "KAMMERTON_SOURCE_ALLOW_HTTP": "true",
    "KAMMERTON_SOURCE_RETRY_DELAYS_SECONDS": "0.1,0.1,0.1",
    # nothing here ends for want of patience
    "KAMMERTON_SOURCE_TIMEOUT_SECONDS": "600",
    "KAMMERTON_WORKER_STALL_TIMEOUT_SECONDS": "700",
    "KAMMERTON_SOURCE_RESPONSE_TIMEOUT_SECONDS": "60",
    "KAMMERTON_LOG_LEVEL": "DEBUG",
    "KAMMERTON_METRICS_PUBLIC": "true",
}
MOST_SECONDS = 120


@pytest.fixture(scope="module")
def reaching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system that may call this machine."""
    with running_system(tmp_path_factory.mktemp("sources") / "data", **OPEN) as running:
        yield running
        assert running.stored() == []
        assert "t0psecret" not in running.log.read_text()


def submit(system: System, url: str, **wishes: Any) -> str:
    answer = system.client.post("/v1/jobs", json={"source_url": url + SECRET, **wishes})
    assert answer.status_code == 202, answer.text
    assert "t0psecret" not in answer.text
    return str(answer.headers["location"])


def test_a_minute_of_a_long_recording_is_fetched_from_a_server_with_ranges(reaching: System) -> None:
    seconds = 900
    chunks = make_wav(432.0, seconds=seconds)
    head, second = next(chunks), next(chunks)
    size = len(head) + seconds * len(second)

    def read(first: int, many: int) -> bytes:
        out = bytearray(head[first : first + many])
        while len(out) < many and first + len(out) < size:
            at = (first + len(out) - len(head)) % len(second)
            out += second[at : at + many - len(out)]
        return bytes(out)

    with running_receiver(ranged(read, size, ETag='"v1"')) as server:
        job = reaching.finished(submit(reaching, server.url, filename="long.wav"))
    assert job["state"] == "succeeded", job["problem"]
    assert job["report"]["verdict"] == "432"
    assert job["report"]["audio"]["analysed_seconds"] == pytest.approx(60.0)
    assert job["input"] == {
        "filename": "long.wav",
        "media_type": None,
        "bytes": size,
        "sha256": None,
        "source": f"http://127.0.0.1:{server.port}",
    }
    sent = sum(last - first + 1 for first, last in filter(None, map(requested_range, server.requests)))
    assert size > 150 * MIB
    assert sent < 60 * len(second) + 2 * MIB
    assert fetched_bytes(reaching) >= sent


def fetched_bytes(system: System) -> float:
    """As /metrics counts them; a worker writes its numbers down when its job is over."""
    deadline = time.monotonic() + MOST_SECONDS
    while time.monotonic() < deadline:
        found = re.search(
            r"^kammerton_source_read_bytes_total (\S+)$", system.client.get("/metrics").text, re.M
        )
        if found and float(found[1]) > 0:
            return float(found[1])
        time.sleep(0.1)
    raise AssertionError("nothing was counted")


@pytest.mark.parametrize("kind", ["mp3-cbr", "flac", "m4a", "wav", "webm-opus"])
@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
def test_a_song_of_each_kind_is_fetched_with_and_without_ranges(
    reaching: System, kind: str, ranges: bool
) -> None:
    song = audio_file(kind, seconds=4.0)
    with running_receiver(serve_ranges(song) if ranges else whole(song)) as server:
        job = reaching.finished(submit(reaching, server.url))
    assert job["state"] == "succeeded", job["problem"]
    assert abs(job["report"]["a4_hz"] - 440.0) < 0.3
    assert (job["attempts"], job["input"]["bytes"]) == (1, len(song))


def test_a_server_outage_uses_no_attempt(reaching: System) -> None:
    song = audio_file("flac", seconds=4.0)
    turn = itertools.count()

    def moody(got: ReceivedRequest) -> Reply:
        return (503, {}, b"") if next(turn) < 2 else serve_ranges(song)(got)

    with running_receiver(moody) as server:
        job = reaching.finished(submit(reaching, server.url))
    assert (job["state"], job["attempts"]) == ("succeeded", 3)
    assert [event["why"] for event in job["timeline"] if event["state"] == "queued"][1:] == [
        "The server of the URL answered 503."
    ] * 2


def test_a_long_server_outage_fails_the_job_and_it_can_be_retried(reaching: System) -> None:
    song = audio_file("flac", seconds=4.0)
    with running_receiver(lambda _: (500, {}, b"")) as server:
        location = submit(reaching, server.url)
        job = reaching.finished(location)
        assert (job["state"], job["attempts"]) == ("failed", 4)
        assert (job["problem"]["code"], job["problem"]["retryable"]) == ("source_away", True)
        assert len(server.requests) == 4
        server.answers = serve_ranges(song)
        assert reaching.client.post(f"{location}/retry").status_code == 202
        assert reaching.finished(location)["state"] == "succeeded"


def test_a_web_page_is_not_taken_for_a_song(reaching: System) -> None:
    page = b"<!doctype html><title>My song</title>" + b"<p>Log in</p>" * 500
    with running_receiver(whole(page, {"Content-Type": "audio/mpeg"})) as server:
        job = reaching.finished(submit(reaching, server.url))
    assert (job["state"], job["problem"]["code"]) == ("failed", "unsupported_media")
    assert reaching.client.post(f"/v1/jobs/{job['id']}/retry").status_code == 409


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\nfLaC"])
def test_a_job_is_canceled_while_its_server_hangs(reaching: System, said: bytes) -> None:
    hanging = threading.Event()

    def serve(connected: socket.socket) -> None:
        connected.recv(65536)
        connected.sendall(said)
        hanging.set()
        hang(connected)

    with socket_server(serve) as port:
        location = submit(reaching, f"http://127.0.0.1:{port}/song")
        assert hanging.wait(MOST_SECONDS)
        assert reaching.client.post(f"{location}/cancel").json()["state"] == "running"
        # the server hangs on: it is not its end that ends the job
        assert reaching.finished(location)["state"] == "canceled"


def test_a_worker_killed_during_a_fetch_loses_an_attempt_and_no_job(reaching: System) -> None:
    song = audio_file("flac", seconds=4.0)
    asked, killed = threading.Event(), threading.Event()

    def slow_at_first(got: ReceivedRequest) -> Reply:
        if not asked.is_set():
            asked.set()
            killed.wait(MOST_SECONDS)
        return serve_ranges(song)(got)

    with running_receiver(slow_at_first) as server:
        location = submit(reaching, server.url)
        assert asked.wait(MOST_SECONDS)
        os.kill(fetching_pid(reaching, server.port), signal.SIGKILL)
        killed.set()
        job = reaching.finished(location)
    assert (job["state"], job["attempts"]) == ("succeeded", 2)
    assert "lease expired" in [event["why"] for event in job["timeline"]]


def fetching_pid(system: System, port: int) -> int:
    """The process of ours that is connected to a port."""
    for process in psutil.Process(system.launcher.pid).children(recursive=True):
        if any(one.raddr and one.raddr.port == port for one in process.net_connections(kind="tcp")):
            return process.pid
    raise AssertionError("nobody fetches")


@pytest.mark.skipif(chromium_path() is None, reason="no Chromium: on Debian and Ubuntu, apt install chromium")
def test_a_link_pasted_into_the_page_gets_its_tuning(reaching: System) -> None:
    expect.set_options(timeout=60_000)
    home = str(reaching.client.base_url)
    with running_receiver(serve_ranges(make_song(432.0, seconds=8))) as server, running_browser() as browser:
        page = browser.new_page(base_url=home)
        page.goto("/")
        page.get_by_label("Or paste a link").fill(
            f"http://127.0.0.1:{server.port}/a/Autumn%20leaves.wav{SECRET}"
        )
        page.keyboard.press("Enter")
        expect(page.locator(".answer .pitch .value")).to_have_text(re.compile(r"43[12]\.\d"))
        expect(page.locator(".song .name")).to_have_text("Autumn leaves.wav")
        page.get_by_label("Or paste a link").fill("https://me:pw@127.0.0.1/")
        page.locator(".link button").click()
        expect(page.locator(".song .status").first).to_contain_text("We can’t fetch this address.")

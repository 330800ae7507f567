"""Uploads and results that lose their connection: a cut line, a reload, a killed server."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.support.browser_pages import (
    OPERATOR,
    TIMEOUT_MS,
    log_in,
    pause,
    resume,
    seed_dead_jobs,
    wav_file,
)
from tests.support.line import Line, running_line
from tests.support.music import make_song
from tests.support.system import System

LOST = "Connection lost. Waiting…"
PAUSED = "The queue is paused. Your song starts when it resumes."
SLOW = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 2_000_000}
FAST = SLOW | {"uploadThroughput": -1}
PITCH = re.compile(r"43[12]\.\d")
PART_SENT = re.compile(r"Uploading, [3-9]\d %")


@pytest.fixture
def line(system: System) -> Iterator[Line]:
    with running_line(str(system.client.base_url)) as line:
        yield line


@pytest.fixture
def far_page(browser: Browser, line: Line) -> Iterator[Page]:
    """A page whose connections go through the line."""
    with browser.new_context(base_url=line.url) as context:
        context.set_default_timeout(TIMEOUT_MS)
        yield context.new_page()


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / "long.wav"
    path.write_bytes(make_song(432.0, seconds=150))
    return path


def upload_slowly(page: Page, song: Path) -> Any:
    """Upload until a part has arrived. Returns what changes the network."""
    page.goto("/")
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.send("Network.emulateNetworkConditions", SLOW)
    page.set_input_files("input[type=file]", song)
    expect(page.locator(".in-progress .status")).to_have_text(PART_SENT)
    return network


def watch_uploads(page: Page) -> tuple[list[str], list[int]]:
    """The uploads that are created, and the offsets from which bytes are sent."""
    created: list[str] = []
    offsets: list[int] = []

    def note(request: Request) -> None:
        if request.method == "PATCH":
            offsets.append(int(request.headers["upload-offset"]))
        elif request.method == "POST" and request.url.endswith("/v1/tus"):
            created.append(request.url)

    page.on("request", note)
    return created, offsets


def test_an_upload_continues_where_the_line_was_cut(far_page: Page, line: Line, song: Path) -> None:
    created, offsets = watch_uploads(far_page)
    network = upload_slowly(far_page, song)
    line.cut()
    expect(far_page.locator(".in-progress .status")).to_have_text(LOST)
    line.restore()
    network.send("Network.emulateNetworkConditions", FAST)
    expect(far_page.locator(".answer .pitch .value")).to_have_text(PITCH)
    assert len(created) == 1
    assert offsets[0] == 0
    assert offsets[-1] > 0


def test_an_upload_continues_when_the_browser_is_online_again(page: Page, song: Path) -> None:
    created, _ = watch_uploads(page)
    network = upload_slowly(page, song)
    network.send("Network.emulateNetworkConditions", SLOW | {"offline": True})
    expect(page.locator(".in-progress .status")).to_have_text(LOST)
    network.send("Network.emulateNetworkConditions", FAST)
    expect(page.locator(".answer .pitch .value")).to_have_text(PITCH)
    assert len(created) == 1


def test_an_upload_continues_after_a_reload(page: Page, song: Path) -> None:
    created, offsets = watch_uploads(page)
    network = upload_slowly(page, song)
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(page.locator(".in-progress .status")).to_have_text(
        re.compile(r"Upload interrupted( at \d+ %)?\. Choose the same file again to continue\.")
    )
    network.send("Network.emulateNetworkConditions", FAST)
    page.set_input_files("input[type=file]", song)
    expect(page.locator(".answer .pitch .value")).to_have_text(PITCH)
    expect(page.locator(".song")).to_have_count(1)
    assert len(created) == 1
    assert offsets[-1] > 0


def test_leaving_the_page_in_mid_upload_asks_first(page: Page, song: Path) -> None:
    network = upload_slowly(page, song)
    page.locator("h1").click()  # browsers ask only on pages that somebody touched
    with page.expect_event("dialog") as question:
        page.close(run_before_unload=True)
    assert question.value.type == "beforeunload"
    question.value.dismiss()
    network.send("Network.emulateNetworkConditions", FAST)
    expect(page.locator(".answer .pitch .value")).to_have_text(PITCH)
    with page.expect_event("close"):  # after the upload, nothing asks
        page.close(run_before_unload=True)


def test_another_tab_leaves_a_running_upload_alone(page: Page, song: Path) -> None:
    network = upload_slowly(page, song)
    other = page.context.new_page()
    methods: list[str] = []
    other.on("request", lambda request: methods.append(request.method))
    other.goto("/")
    other.wait_for_load_state("networkidle")
    expect(other.locator(".song")).to_have_count(0)
    assert "HEAD" not in methods
    network.send("Network.emulateNetworkConditions", FAST)
    expect(page.locator(".answer .pitch .value")).to_have_text(PITCH)


def test_an_interrupted_upload_is_dismissed_for_good(page: Page, song: Path) -> None:
    upload_slowly(page, song)
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    with page.expect_response(lambda response: response.request.method == "DELETE") as deleted:
        page.get_by_role("button", name="Dismiss").click()
    assert deleted.value.status == 204
    page.reload()
    expect(page.locator("#drop")).to_be_visible()
    expect(page.locator(".song")).to_have_count(0)


def test_an_upload_survives_a_killed_server(page: Page, system: System, song: Path) -> None:
    network = upload_slowly(page, song)
    os.kill(system.pid_of("-m api"), signal.SIGKILL)
    expect(page.locator(".in-progress .status")).to_have_text(LOST)
    network.send("Network.emulateNetworkConditions", FAST)
    expect(page.locator(".answer .pitch .value")).to_have_text(PITCH)


def test_a_response_that_never_arrives_is_asked_for_again(page: Page) -> None:
    keys: list[str] = []
    network = page.context.new_cdp_session(page)

    def lose_first(answer: Any) -> None:
        keys.append(answer["request"]["headers"]["Idempotency-Key"])
        if len(keys) > 1:
            network.send("Fetch.continueRequest", {"requestId": answer["requestId"]})

    network.on("Fetch.requestPaused", lose_first)
    network.send("Fetch.enable", {"patterns": [{"urlPattern": "*/v1/jobs", "requestStage": "Response"}]})
    page.clock.install(time=0)
    page.goto("/")
    page.clock.pause_at(3_600_000)
    page.set_input_files("input[type=file]", [wav_file("last.wav", make_song(432.0, seconds=5))])
    status = page.locator(".in-progress .status")
    expect(status).to_have_text("Processing…")
    page.clock.run_for(25_000)
    expect(status).to_have_text(LOST)
    page.clock.run_for(15_000)
    page.clock.resume()
    expect(page.locator(".answer .pitch .value")).to_have_text(PITCH)
    assert len(keys) == 2
    assert keys[0] == keys[1]


def test_a_waiting_job_says_that_its_connection_is_lost(far_page: Page, line: Line, operator: Page) -> None:
    pause(operator, "interactive")
    far_page.goto("/")
    far_page.set_input_files("input[type=file]", [wav_file("wait.wav", make_song(440.0, seconds=5))])
    status = far_page.locator(".in-progress .status")
    expect(status).to_have_text(PAUSED)
    line.cut()
    expect(status).to_have_text(LOST)
    line.restore()
    expect(status).to_have_text(PAUSED)
    resume(operator, "interactive")
    expect(far_page.locator(".answer .pitch")).to_be_visible()


def test_the_dashboard_says_that_its_server_is_gone_until_it_is_back(
    far_page: Page, line: Line, system: System
) -> None:
    log_in(far_page, OPERATOR)
    expect(far_page.get_by_role("button", name="Pause live updates")).to_be_visible()
    line.cut()
    stale = far_page.locator("#stale")
    expect(stale).to_have_text("The server can’t be reached. This page may be out of date.")
    line.restore()
    expect(stale).to_be_hidden()
    tile = far_page.locator(".tile.dead .number")
    before = int(tile.inner_text().replace(",", ""))
    seed_dead_jobs(system, f"back-{before}")
    expect(tile).to_have_text(str(before + 1))

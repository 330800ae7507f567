"""Uploads that are paused, canceled, or lose their connection."""

import os
import re
import time
from typing import Any

from playwright.sync_api import Page, expect

from tests.support.browser_pages import (
    wav_file,
)
from tests.support.music import make_song
from tests.support.system import System


def test_a_canceled_upload_leaves_nothing_in_storage(page: Page, system: System) -> None:
    before = len(system.stored())
    page.goto("/")
    slow = page.context.new_cdp_session(page)
    slow.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 200_000},
    )
    page.set_input_files("input[type=file]", [wav_file("big.wav", os.urandom(6_000_000))])
    expect(page.locator(".in-progress .status")).to_contain_text("%")
    assert page.locator("progress").get_attribute("aria-label") == "Upload of big.wav"
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".in-progress .status")).to_have_text("Upload canceled.")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    deadline = time.monotonic() + 60
    while len(system.stored()) > before and time.monotonic() < deadline:
        time.sleep(0.2)
    assert len(system.stored()) == before


def test_a_large_upload_is_paused_and_resumed(page: Page) -> None:
    page.goto("/")
    network = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 1_500_000}
    network.send("Network.emulateNetworkConditions", slow)
    page.set_input_files("input[type=file]", [wav_file("long.wav", make_song(432.0, seconds=150))])
    expect(page.locator(".in-progress .status")).to_contain_text("%")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".in-progress .status")).to_contain_text("Paused at")
    share = page.locator("progress").evaluate("(bar) => bar.value")
    page.wait_for_timeout(1500)
    assert page.locator("progress").evaluate("(bar) => bar.value") == share
    page.get_by_role("button", name="Resume").click()
    network.send("Network.emulateNetworkConditions", slow | {"uploadThroughput": -1})
    expect(page.locator(".answer .pitch .value")).to_have_text(re.compile(r"43[12]\.\d"))


def test_a_canceled_paused_upload_leaves_nothing_in_storage(page: Page, system: System) -> None:
    before = len(system.stored())
    page.goto("/")
    network = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 1_000_000}
    network.send("Network.emulateNetworkConditions", slow)
    page.set_input_files("input[type=file]", [wav_file("long.wav", make_song(432.0, seconds=150))])
    expect(page.locator(".in-progress .status")).to_contain_text("%")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".in-progress .status")).to_have_text("Upload canceled.")
    deadline = time.monotonic() + 60
    while len(system.stored()) > before and time.monotonic() < deadline:
        time.sleep(0.2)
    assert len(system.stored()) == before


def test_an_upload_survives_the_loss_of_its_last_response(page: Page) -> None:
    sent: list[str] = []
    network = page.context.new_cdp_session(page)

    def lose(answer: Any) -> None:
        sent.append(answer["request"]["method"])
        paused = {"requestId": answer["requestId"]}
        if sent == ["PATCH"]:
            network.send("Fetch.failRequest", paused | {"errorReason": "ConnectionClosed"})
        else:
            network.send("Fetch.continueRequest", paused)

    network.on("Fetch.requestPaused", lose)
    answers = {"urlPattern": "*/v1/tus/*", "requestStage": "Response"}
    network.send("Fetch.enable", {"patterns": [answers]})
    page.goto("/")
    page.set_input_files("input[type=file]", [wav_file("lost.wav", make_song(432.0, seconds=150))])
    expect(page.locator(".answer .pitch .value")).to_have_text(re.compile(r"43[12]\.\d"))
    assert sent == ["PATCH", "HEAD"]

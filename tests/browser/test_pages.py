"""The pages in a real browser, over the whole system."""

import base64
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.music import make_song
from tests.support.seed_data import dead_job, job_store, seed_failed_webhook
from tests.support.system import System, running_system

OPERATOR, VIEWER = "let me work", "let me look"
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    passwords = {"KAMMERTON_ADMIN_PASSWORD": OPERATOR, "KAMMERTON_VIEWER_PASSWORD": VIEWER}
    with running_system(tmp_path_factory.mktemp("pages") / "data", **passwords) as running:
        yield running


@pytest.fixture
def open_context(browser: Browser, stage: System) -> Iterator[Callable[..., BrowserContext]]:
    """Contexts whose pages may load nothing from elsewhere and complain about nothing."""
    opened: list[BrowserContext] = []
    complaints: list[str] = []
    home = str(stage.client.base_url).rstrip("/")

    def watch(page: Page) -> None:
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if "Refused" in said.text else None)

    def make(**options: Any) -> BrowserContext:
        context = browser.new_context(base_url=home, **options)
        context.set_default_timeout(PATIENCE_MS)
        context.on("page", watch)
        context.on(
            "request", lambda sent: complaints.append(sent.url) if not sent.url.startswith(home) else None
        )
        opened.append(context)
        return context

    yield make
    for context in opened:
        context.close()
    assert complaints == []


@pytest.fixture
def page(open_context: Callable[..., BrowserContext]) -> Page:
    return open_context().new_page()


@pytest.fixture
def operator(open_context: Callable[..., BrowserContext]) -> Page:
    page = open_context().new_page()
    log_in(page, OPERATOR)
    return page


@pytest.fixture
def paused(stage: System, operator: Page) -> Iterator[None]:
    """Nothing of the interactive queue is started while this lasts."""
    pause(operator, "interactive")
    yield
    resume(operator, "interactive")


def log_in(page: Page, password: str) -> None:
    page.goto("/admin")
    page.get_by_label("Your name, for the audit log").fill("Ann")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/admin")


def post_form(page: Page, path: str, **form: str) -> int:
    sent = page.request.post(path, form={**form}, headers={"Sec-Fetch-Site": "same-origin"}, max_redirects=0)
    return sent.status


def pause(page: Page, queue: str) -> None:
    assert post_form(page, f"/admin/queues/{queue}", action="pause") == 303


def resume(page: Page, queue: str) -> None:
    assert post_form(page, f"/admin/queues/{queue}", action="resume") == 303


def file_of(name: str, audio: bytes) -> Any:
    return {"name": name, "mimeType": "audio/wav", "buffer": audio}


def drop(page: Page, name: str, audio: bytes) -> None:
    """What a browser does when somebody drops a file on the page."""
    page.evaluate(
        """([name, data]) => {
            const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([bytes], name, { type: "audio/wav" }));
            for (const type of ["dragenter", "dragover", "drop"])
                document.querySelector("#drop").dispatchEvent(
                    new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer }));
        }""",
        [name, base64.b64encode(audio).decode()],
    )


def seed_dead(stage: System, *ids: str) -> None:
    with job_store(stage) as jobs:
        for job_id in ids:
            jobs.add(dead_job(job_id, at=time.time() - 60, filename=f"{job_id}.m4a"))


def test_a_dropped_song_gets_its_tuning(page: Page) -> None:
    page.goto("/")
    drop(page, "Autumn.wav", make_song(432.0, seconds=8))
    expect(page.locator(".answer .pitch .value")).to_have_text(re.compile(r"43[12]\.\d"))
    expect(page.locator(".answer .sentence")).to_have_text("Tuned a third of a semitone below concert pitch.")
    expect(page.locator(".picture svg")).to_have_count(2)
    expect(page.locator("#announce")).to_contain_text("Autumn.wav")
    expect(page.locator("#announce")).to_contain_text("below concert pitch")


def test_several_songs_are_heard_and_a_reload_forgets_none(page: Page) -> None:
    page.goto("/")
    page.set_input_files(
        "input[type=file]",
        [file_of("one.wav", make_song(440.0, seconds=6)), file_of("two.wav", make_song(445.0, seconds=6))],
    )
    expect(page.locator(".answer .pitch")).to_have_count(2)
    page.reload()
    expect(page.locator(".answer .pitch")).to_have_count(2)
    expect(page.locator(".song .name")).to_have_text(["two.wav", "one.wav"])


def test_a_file_without_sound_explains_itself(page: Page) -> None:
    page.goto("/")
    page.set_input_files("input[type=file]", [file_of("text.wav", b"RIFF" + b"no music at all" * 40)])
    expect(page.locator(".answer.error, .going .status").first).to_contain_text(
        re.compile("can’t analyze|no audio|No decoder|audio")
    )


def test_an_upload_is_canceled_and_leaves_nothing(page: Page, stage: System) -> None:
    before = len(stage.stored())
    page.goto("/")
    slow = page.context.new_cdp_session(page)
    slow.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 200_000},
    )
    page.set_input_files("input[type=file]", [file_of("big.wav", os.urandom(6_000_000))])
    expect(page.locator(".going .status")).to_contain_text("%")
    assert page.locator("progress").get_attribute("aria-label") == "Upload of big.wav"
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".going .status")).to_have_text("Upload canceled.")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    deadline = time.monotonic() + 20
    while len(stage.stored()) > before and time.monotonic() < deadline:
        time.sleep(0.2)
    assert len(stage.stored()) == before


def test_a_waiting_job_is_watched_live_until_its_result(page: Page, operator: Page, paused: None) -> None:
    page.goto("/")
    page.set_input_files("input[type=file]", [file_of("wait.wav", make_song(440.0, seconds=5))])
    expect(page.locator(".going .status")).to_have_text("Next in line.")
    page.set_input_files("input[type=file]", [file_of("after.wav", make_song(440.0, seconds=5))])
    expect(page.locator(".going .status").first).to_have_text("Waiting. 1 song is ahead of this one.")
    resume(operator, "interactive")
    expect(page.locator(".answer .pitch")).to_have_count(2)


def test_a_waiting_job_is_canceled(page: Page, paused: None) -> None:
    page.goto("/")
    page.set_input_files("input[type=file]", [file_of("no.wav", make_song(440.0, seconds=5))])
    expect(page.locator(".going .status")).to_have_text("Next in line.")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".answer .sentence")).to_have_text("Canceled")


def test_where_events_do_not_get_through_the_page_polls(page: Page) -> None:
    page.route("**/events", lambda route: route.fulfill(status=502, body="a proxy's page"))
    page.goto("/")
    page.set_input_files("input[type=file]", [file_of("poll.wav", make_song(440.0, seconds=5))])
    expect(page.locator(".answer .pitch")).to_be_visible()


def test_without_a_script_a_form_and_a_page_that_refreshes_do(
    open_context: Callable[..., BrowserContext], operator: Page, paused: None
) -> None:
    page = open_context(java_script_enabled=False).new_page()
    page.goto("/")
    page.set_input_files("input[type=file]", [file_of("plain.wav", make_song(432.0, seconds=5))])
    page.get_by_role("button", name="Analyze").click()
    expect(page.locator(".going .status")).to_have_text("Next in line.")
    resume(operator, "interactive")
    expect(page.locator(".answer .pitch .value")).to_have_text(re.compile(r"43[12]\.\d"))


def test_the_keyboard_alone_chooses_a_song_and_hears_its_tone(page: Page) -> None:
    page.on("filechooser", lambda _: None)  # from now on none opens that a test could not answer
    page.goto("/")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.type") == "file":
            break
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files([file_of("keys.wav", make_song(432.0, seconds=5))])
    tone = page.get_by_role("button", name=re.compile("Play its A"))
    tone.focus()
    page.keyboard.press("Space")
    expect(tone).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Space")
    expect(tone).to_have_attribute("aria-pressed", "false")


def test_a_phone_shows_everything_without_scrolling_sideways(
    open_context: Callable[..., BrowserContext], stage: System
) -> None:
    seed_dead(stage, "phone-1")
    context = open_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    page.goto("/")
    page.set_input_files("input[type=file]", [file_of("phone.wav", make_song(432.0, seconds=5))])
    expect(page.locator(".answer .pitch")).to_be_visible()
    assert width_of(page) <= 390
    log_in(page, OPERATOR)
    for path in (
        "/admin",
        "/admin/history",
        "/admin/keys",
        "/admin/jobs",
        "/admin/dead",
        "/admin/jobs/phone-1",
        "/admin/audit",
    ):
        page.goto(path)
        assert width_of(page) <= 390, path


def width_of(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth"))


def test_a_viewer_sees_everything_and_is_refused_each_act(
    open_context: Callable[..., BrowserContext], stage: System
) -> None:
    seed_dead(stage, "viewed-1")
    page = open_context().new_page()
    log_in(page, VIEWER)
    for path in ("/admin", "/admin/jobs", "/admin/dead", "/admin/jobs/viewed-1", "/admin/audit"):
        page.goto(path)
        assert page.locator("button:not(.quiet):not(.primary)").count() == 0, path
    worker = stage.client.get("/readyz").json()
    assert worker["workers"] == 1
    assert post_form(page, "/admin/bulk-actions", action="retry", ids="viewed-1") == 403
    assert post_form(page, "/admin/bulk-actions", action="cancel", ids="viewed-1") == 403
    assert post_form(page, "/admin/bulk-actions", action="delete", all_matching="all") == 403
    assert post_form(page, "/admin/queues/batch", action="pause") == 403
    assert post_form(page, "/admin/workers/any", action="drain") == 403
    assert post_form(page, "/admin/webhooks/any") == 403
    assert page.request.post("/admin/api/queues/batch/pause").status == 403


def test_all_dead_jobs_are_retried_after_a_question(operator: Page, stage: System) -> None:
    seed_dead(stage, *(f"again-{number}" for number in range(3)))
    operator.goto("/admin/dead")
    count = operator.locator("input[name=ids]").count()
    assert count >= 3
    operator.get_by_role("button", name="Retry all").click()
    expect(operator.locator("h1")).to_have_text(f"Retry {count} jobs?")
    operator.get_by_role("button", name=f"Yes, retry {count} jobs").click()
    expect(operator.locator(".flash")).to_have_text(f"{count} jobs were queued again.")
    expect(operator.locator(".empty")).to_have_text("There are no dead jobs.")
    operator.goto("/admin/audit")
    expect(operator.locator("tbody tr").first).to_contain_text("operator Ann")


def test_ticked_jobs_alone_are_deleted(operator: Page, stage: System) -> None:
    seed_dead(stage, "tick-1", "tick-2")
    operator.goto("/admin/dead")
    operator.get_by_label("Select tick-1.m4a").check()
    operator.get_by_role("button", name="Delete", exact=True).click()
    operator.get_by_role("button", name="Yes, delete 1 job").click()
    expect(operator.locator(".flash")).to_have_text("1 job was deleted.")
    expect(operator.get_by_label("Select tick-1.m4a")).to_have_count(0)
    expect(operator.get_by_label("Select tick-2.m4a")).to_have_count(1)


def test_a_queue_is_paused_and_resumed_and_says_so(operator: Page) -> None:
    operator.goto("/admin")
    row = operator.locator("tr", has_text="batch")
    row.get_by_role("button", name="Pause").click()
    expect(operator.locator(".verdict")).to_contain_text("The queue batch is paused.")
    row.get_by_role("button", name="Resume").click()
    expect(row.get_by_role("button", name="Pause")).to_be_visible()


def test_a_dead_job_tells_its_story(operator: Page, stage: System) -> None:
    seed_dead(stage, "story-1")
    seed_failed_webhook(stage, "story-1")
    operator.goto("/admin/dead")
    operator.get_by_role("link", name="story-1.m4a").click()
    expect(operator.locator(".problem")).to_contain_text("crashed 3 times")
    expect(operator.locator(".timeline").first.locator("li")).to_have_count(7)
    expect(operator.locator(".timeline .why").first).to_contain_text("signal 11 (SIGSEGV)")
    expect(operator.locator(".delivery")).to_contain_text("503")


def test_the_dashboard_shows_by_itself_what_has_changed(operator: Page, stage: System) -> None:
    operator.goto("/admin")
    tile = operator.locator(".tile.dead .number")
    before = int((tile.inner_text()).replace(",", ""))
    seed_dead(stage, f"live-{before}")
    expect(tile).to_have_text(str(before + 1))


def test_a_drained_worker_takes_nothing_until_it_works_again(operator: Page, stage: System) -> None:
    operator.goto("/admin")
    workers = operator.locator("section", has=operator.get_by_role("heading", name="Workers"))
    workers.get_by_role("button", name="Drain").click()
    expect(operator.locator(".verdict")).to_contain_text("Every worker is draining")
    location = stage.submit(make_song(440.0, seconds=3), **{"Content-Type": "audio/wav"})
    assert stage.client.get(location, params={"wait": 5}).json()["state"] == "queued"
    workers.get_by_role("button", name="Resume").click()
    assert stage.finished(location)["state"] == "succeeded"


def test_a_worker_told_to_restart_comes_back_as_another(operator: Page, stage: System) -> None:
    operator.goto("/admin")
    workers = operator.locator("section", has=operator.get_by_role("heading", name="Workers"))
    name = workers.locator("tbody th a").inner_text()
    workers.get_by_role("button", name="Restart").click()
    expect(workers.locator("tbody th a")).not_to_have_text(name)
    location = stage.submit(make_song(440.0, seconds=3), **{"Content-Type": "audio/wav"})
    assert stage.finished(location)["state"] == "succeeded"


def test_history_survives_and_is_drawn(operator: Page) -> None:
    operator.goto("/admin/history")
    expect(operator.locator(".plot canvas")).to_have_count(4)
    assert int(operator.locator(".tile.succeeded .number").inner_text()) > 0
    operator.get_by_role("link", name="Last week").click()
    assert int(operator.locator(".tile.succeeded .number").inner_text()) > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_barrier_on_any_page(
    open_context: Callable[..., BrowserContext], stage: System, scheme: str
) -> None:
    page = open_context(color_scheme=scheme, reduced_motion="reduce").new_page()
    axe = Axe()
    page.goto("/")
    found = barriers(axe, page)
    page.set_input_files("input[type=file]", [file_of("axe.wav", make_song(432.0, seconds=5))])
    expect(page.locator(".answer .pitch")).to_be_visible()
    found += barriers(axe, page)
    job = page.locator(".song").get_attribute("data-job")
    seed_dead(stage, f"axe-{scheme}")
    seed_failed_webhook(stage, f"axe-{scheme}")
    for path in (f"/jobs/{job}", "/jobs/none", "/docs", "/admin/login"):
        page.goto(path)
        found += barriers(axe, page)
    log_in(page, OPERATOR)
    found += barriers(axe, page)
    for path in ("history", "jobs", "dead", f"jobs/axe-{scheme}", f"jobs/{job}", "keys", "audit"):
        page.goto(f"/admin/{path}")
        found += barriers(axe, page)
    page.goto("/admin/dead")
    page.get_by_role("button", name="Delete all").click()
    found += barriers(axe, page)
    assert found == []


def barriers(axe: Axe, page: Page) -> list[str]:
    violations = axe.run(page).response["violations"]
    return [
        f"{page.url}: {one['id']}: {[node['html'][:200] for node in one['nodes'][:3]]}"
        for one in violations
        if one["impact"] in {"serious", "critical"}
    ]


def test_an_open_stream_does_not_hold_up_the_end(tmp_path: Path, browser: Browser) -> None:
    with running_system(tmp_path / "data", KAMMERTON_ADMIN_PASSWORD=OPERATOR) as system:
        context = browser.new_context(base_url=str(system.client.base_url).rstrip("/"))
        page = context.new_page()
        log_in(page, OPERATOR)
        expect(page.locator(".verdict")).to_be_visible()
        system.launcher.terminate()
        assert system.launcher.wait(15) == 0
        assert "api did not stop in time" not in system.log.read_text()
        context.close()


def test_a_large_upload_is_paused_resumed_and_heard(page: Page) -> None:
    page.goto("/")
    network = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 3_000_000}
    network.send("Network.emulateNetworkConditions", slow)
    page.set_input_files("input[type=file]", [file_of("long.wav", make_song(432.0, seconds=150))])
    expect(page.locator(".going .status")).to_contain_text("%")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".going .status")).to_contain_text("Paused at")
    share = page.locator("progress").evaluate("(bar) => bar.value")
    page.wait_for_timeout(1500)
    assert page.locator("progress").evaluate("(bar) => bar.value") == share
    page.get_by_role("button", name="Resume").click()
    network.send("Network.emulateNetworkConditions", slow | {"uploadThroughput": -1})
    expect(page.locator(".answer .pitch .value")).to_have_text(re.compile(r"43[12]\.\d"))


def test_a_paused_upload_is_canceled_and_leaves_nothing(page: Page, stage: System) -> None:
    before = len(stage.stored())
    page.goto("/")
    network = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 2_000_000}
    network.send("Network.emulateNetworkConditions", slow)
    page.set_input_files("input[type=file]", [file_of("long.wav", make_song(432.0, seconds=150))])
    expect(page.locator(".going .status")).to_contain_text("%")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".going .status")).to_have_text("Upload canceled.")
    deadline = time.monotonic() + 20
    while len(stage.stored()) > before and time.monotonic() < deadline:
        time.sleep(0.2)
    assert len(stage.stored()) == before


def test_an_upload_whose_last_answer_is_lost_is_heard_all_the_same(page: Page) -> None:
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
    page.set_input_files("input[type=file]", [file_of("lost.wav", make_song(432.0, seconds=150))])
    expect(page.locator(".answer .pitch .value")).to_have_text(re.compile(r"43[12]\.\d"))
    assert sent == ["PATCH", "HEAD"]

"""The overview of the dashboard: queues, workers, history."""

import re
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.support.browser_pages import (
    OPERATOR,
    log_in,
    seed_dead_jobs,
)
from tests.support.music import make_song
from tests.support.system import System, running_system


def test_a_queue_is_paused_and_resumed(operator: Page) -> None:
    operator.goto("/admin")
    row = operator.locator("tr", has_text="batch")
    row.get_by_role("button", name="Pause").click()
    expect(operator.locator(".verdict")).to_contain_text("The queue batch is paused.")
    row.get_by_role("button", name="Resume").click()
    expect(row.get_by_role("button", name="Pause")).to_be_visible()


def test_the_overview_updates_by_itself(operator: Page, system: System) -> None:
    operator.goto("/admin")
    tile = operator.locator(".tile.dead .number")
    before = int((tile.inner_text()).replace(",", ""))
    seed_dead_jobs(system, f"live-{before}")
    expect(tile).to_have_text(str(before + 1))


def test_a_drained_worker_starts_no_job_until_it_is_resumed(operator: Page, system: System) -> None:
    operator.goto("/admin")
    workers = operator.locator("section", has=operator.get_by_role("heading", name="Workers"))
    name = workers.locator("tbody th a").inner_text()
    workers.get_by_role("link", name="Drain").click()
    expect(operator.locator("h1")).to_have_text(f"Drain {name}?")
    expect(operator.get_by_text("It finishes its jobs and starts no others")).to_be_visible()
    operator.get_by_role("button", name="Yes, drain it").click()
    expect(operator.locator(".verdict")).to_contain_text("Every worker is draining")
    location = system.submit(make_song(440.0, seconds=3), **{"Content-Type": "audio/wav"})
    assert system.client.get(location, params={"wait": 5}).json()["state"] == "queued"
    workers.get_by_role("button", name="Resume").click()
    assert system.finished(location)["state"] == "succeeded"


def test_a_restarted_worker_comes_back_under_another_name(operator: Page, system: System) -> None:
    operator.goto("/admin")
    workers = operator.locator("section", has=operator.get_by_role("heading", name="Workers"))
    name = workers.locator("tbody th a").inner_text()
    workers.get_by_role("link", name="Restart").click()
    expect(operator.locator("h1")).to_have_text(f"Restart {name}?")
    expect(operator.get_by_text("It finishes its jobs first.")).to_be_visible()
    operator.get_by_role("button", name="Yes, restart it").click()
    expect(workers.locator("tbody th a")).not_to_have_text(name)
    location = system.submit(make_song(440.0, seconds=3), **{"Content-Type": "audio/wav"})
    assert system.finished(location)["state"] == "succeeded"


def test_the_history_is_drawn(operator: Page, system: System) -> None:
    system.finished(system.submit(make_song(440.0, seconds=3), **{"Content-Type": "audio/wav"}))
    operator.goto("/admin/history")
    expect(operator.locator(".plot canvas")).to_have_count(4)
    legend = operator.locator(".plot[data-chart=throughput] .u-legend")
    expect(legend).to_contain_text(re.compile(r"succeeded:?\s*[1-9]"))
    assert int(operator.locator(".tile.succeeded .number").inner_text()) > 0
    operator.get_by_role("link", name="Last week").click()
    assert int(operator.locator(".tile.succeeded .number").inner_text()) > 0


def test_an_open_stream_does_not_delay_the_shutdown(tmp_path: Path, browser: Browser) -> None:
    with running_system(tmp_path / "data", KAMMERTON_ADMIN_PASSWORD=OPERATOR) as system:
        context = browser.new_context(base_url=str(system.client.base_url).rstrip("/"))
        page = context.new_page()
        log_in(page, OPERATOR)
        expect(page.locator(".verdict")).to_be_visible()
        system.launcher.terminate()
        assert system.launcher.wait(60) == 0
        assert "api did not stop in time" not in system.log.read_text()
        context.close()


def test_the_link_of_a_worker_lists_its_jobs(operator: Page, system: System) -> None:
    location = system.submit(make_song(440.0, seconds=3), **{"Content-Type": "audio/wav"})
    job = system.finished(location)
    operator.goto("/admin")
    workers = operator.locator("section", has=operator.get_by_role("heading", name="Workers"))
    workers.locator("tbody th a").click()
    expect(operator.locator(".jobs tbody tr", has_text=job["id"])).to_be_visible()

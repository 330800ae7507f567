"""Every page for everybody: axe, and small screens."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, expect

from tests.support.browser_pages import (
    OPERATOR,
    axe_problems,
    log_in,
    page_width,
    seed_dead_jobs,
    wav_file,
)
from tests.support.music import make_song
from tests.support.seed_data import seed_batch, seed_failed_webhook
from tests.support.system import System


def test_no_page_scrolls_sideways_on_a_phone(
    open_context: Callable[..., BrowserContext], system: System
) -> None:
    seed_dead_jobs(system, "phone-1")
    seed_failed_webhook(system, "phone-1", "ep-phone")
    seed_batch(system, "batch-phone")
    context = open_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    page.goto("/")
    page.set_input_files("input[type=file]", [wav_file("phone.wav", make_song(432.0, seconds=5))])
    expect(page.locator(".answer .pitch")).to_be_visible()
    assert page_width(page) <= 390
    for path in ("/docs", "/docs/quickstart", "/admin/login"):
        page.goto(path)
        assert page_width(page) <= 390, path
    log_in(page, OPERATOR)
    for path in (
        "/admin",
        "/admin/history",
        "/admin/keys",
        "/admin/jobs",
        "/admin/dead",
        "/admin/scheduled",
        "/admin/batches",
        "/admin/batches/batch-phone",
        "/admin/webhooks",
        "/admin/webhooks/ep-phone",
        "/admin/jobs/phone-1",
        "/admin/audit",
    ):
        page.goto(path)
        assert page_width(page) <= 390, path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_problem_on_any_page(
    open_context: Callable[..., BrowserContext], system: System, scheme: str
) -> None:
    page = open_context(color_scheme=scheme, reduced_motion="reduce").new_page()
    axe = Axe()
    page.goto("/")
    found = axe_problems(axe, page)
    page.set_input_files("input[type=file]", [wav_file("axe.wav", make_song(432.0, seconds=5))])
    expect(page.locator(".answer .pitch")).to_be_visible()
    found += axe_problems(axe, page)
    job = page.locator(".song").get_attribute("data-job")
    seed_dead_jobs(system, f"axe-{scheme}")
    seed_failed_webhook(system, f"axe-{scheme}", f"ep-{scheme}")
    seed_batch(system, f"batch-axe-{scheme}")
    for path in (f"/jobs/{job}", "/jobs/none", "/docs/quickstart", "/admin/login"):
        page.goto(path)
        found += axe_problems(axe, page)
    log_in(page, OPERATOR)
    found += axe_problems(axe, page)
    pages = ("history", "jobs", "scheduled", "dead", "batches", "webhooks", "keys", "audit")
    details = (f"jobs/axe-{scheme}", f"jobs/{job}", f"batches/batch-axe-{scheme}", f"webhooks/ep-{scheme}")
    for path in (*pages, *details):
        page.goto(f"/admin/{path}")
        found += axe_problems(axe, page)
    page.get_by_role("button", name="Keyboard shortcuts").click()
    found += axe_problems(axe, page)
    page.goto("/admin/dead")
    page.get_by_role("button", name="Delete all").click()
    found += axe_problems(axe, page)
    assert found == []

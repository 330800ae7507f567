"""The jobs pages of the dashboard."""

from collections.abc import Callable

from playwright.sync_api import BrowserContext, Page, expect

from tests.support.browser_pages import (
    VIEWER,
    log_in,
    post_form,
    seed_dead_jobs,
)
from tests.support.seed_data import seed_failed_webhook
from tests.support.system import System


def test_a_viewer_sees_every_page_and_changes_nothing(
    open_context: Callable[..., BrowserContext], system: System
) -> None:
    seed_dead_jobs(system, "viewed-1")
    page = open_context().new_page()
    log_in(page, VIEWER)
    for path in ("/admin", "/admin/jobs", "/admin/dead", "/admin/jobs/viewed-1", "/admin/audit"):
        page.goto(path)
        assert page.locator("button:not(.quiet):not(.primary)").count() == 0, path
    worker = system.client.get("/readyz").json()
    assert worker["workers"] == 1
    assert post_form(page, "/admin/bulk-actions", action="retry", ids="viewed-1") == 403
    assert post_form(page, "/admin/bulk-actions", action="cancel", ids="viewed-1") == 403
    assert post_form(page, "/admin/bulk-actions", action="delete", all_matching="all") == 403
    assert post_form(page, "/admin/queues/batch", action="pause") == 403
    assert post_form(page, "/admin/workers/any", action="drain") == 403
    assert post_form(page, "/admin/webhooks/any") == 403
    assert page.request.post("/admin/api/queues/batch/pause").status == 403


def test_all_dead_jobs_are_retried_after_a_confirmation(operator: Page, system: System) -> None:
    seed_dead_jobs(system, *(f"again-{number}" for number in range(3)))
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


def test_only_selected_jobs_are_deleted(operator: Page, system: System) -> None:
    seed_dead_jobs(system, "tick-1", "tick-2")
    operator.goto("/admin/dead")
    operator.get_by_label("Select tick-1.m4a").check()
    operator.get_by_role("button", name="Delete", exact=True).click()
    operator.get_by_role("button", name="Yes, delete 1 job").click()
    expect(operator.locator(".flash")).to_have_text("1 job was deleted.")
    expect(operator.get_by_label("Select tick-1.m4a")).to_have_count(0)
    expect(operator.get_by_label("Select tick-2.m4a")).to_have_count(1)


def test_a_dead_job_shows_its_timeline_and_webhooks(operator: Page, system: System) -> None:
    seed_dead_jobs(system, "story-1")
    seed_failed_webhook(system, "story-1")
    operator.goto("/admin/dead")
    operator.get_by_role("link", name="story-1.m4a").click()
    expect(operator.locator(".problem")).to_contain_text("crashed 3 times")
    expect(operator.locator(".timeline").first.locator("li")).to_have_count(7)
    expect(operator.locator(".timeline .why").first).to_contain_text("signal 11 (SIGSEGV)")
    expect(operator.locator(".delivery")).to_contain_text("503")

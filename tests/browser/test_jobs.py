"""The jobs pages of the dashboard."""

import re
from collections.abc import Callable

from playwright.sync_api import BrowserContext, Page, expect

from tests.support.browser_pages import (
    VIEWER,
    log_in,
    pause,
    post_form,
    resume,
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


def test_a_selection_survives_a_redraw_and_new_jobs_are_announced(operator: Page, system: System) -> None:
    seed_dead_jobs(system, "stay-1", "stay-2")
    operator.goto("/admin/jobs?state=dead")
    operator.get_by_label("Select stay-1.m4a").check()
    expect(operator.locator(".selected-count")).to_have_text("Selected (1):")
    seed_dead_jobs(system, *(f"new-{number}" for number in range(3)))
    expect(operator.locator("#new-jobs")).to_have_text("3 new")
    expect(operator.get_by_label("Select new-1.m4a")).to_have_count(0)
    expect(operator.get_by_label("Select stay-1.m4a")).to_be_checked()
    operator.locator("#new-jobs").click()
    expect(operator.get_by_label("Select new-1.m4a")).to_be_visible()
    expect(operator.get_by_label("Select stay-1.m4a")).to_be_checked()
    operator.get_by_role("button", name="Delete", exact=True).click()
    expect(operator.locator("h1")).to_have_text("Delete 1 job?")


def test_paused_live_updates_change_nothing_until_they_resume(operator: Page, system: System) -> None:
    seed_dead_jobs(system, "halt-1")
    operator.goto("/admin/jobs?state=dead&q=halt")
    pause_button = operator.get_by_role("button", name="Pause live updates")
    requests: list[str] = []
    operator.on("request", lambda request: requests.append(request.url))
    pause_button.click()
    expect(operator.locator("#pause-updates")).to_have_attribute("aria-pressed", "true")
    requests.clear()
    seed_dead_jobs(system, "halt-2")
    operator.wait_for_timeout(3000)  # a live page would have asked by now
    assert requests == []
    operator.get_by_role("button", name="Resume live updates").click()
    expect(operator.locator("#new-jobs")).to_have_text("1 new")


def test_a_key_is_revoked_only_after_a_question(operator: Page) -> None:
    operator.goto("/admin/keys")
    operator.get_by_label("Name: who uses it, and for what").fill("a robot")
    operator.get_by_role("button", name="Create key").click()
    row = operator.locator("tbody tr", has_text="a robot")
    expect(row).to_be_visible()
    row.get_by_role("link", name="Revoke").click()
    expect(operator.locator("h1")).to_have_text("Revoke the key “a robot”?")
    operator.get_by_role("link", name="No, go back").click()
    row.get_by_role("link", name="Revoke").click()
    operator.get_by_role("button", name="Yes, revoke the key").click()
    expect(operator.locator(".flash")).to_have_text("The key “a robot” is revoked.")
    expect(row).to_contain_text("revoked")


def test_every_question_is_asked_before_the_script_has_loaded(operator: Page, system: System) -> None:
    seed_dead_jobs(system, "early-1")
    operator.route("**/static/**/admin.js*", lambda route: route.abort())
    operator.goto("/admin/keys")
    operator.get_by_label("Name: who uses it, and for what").fill("a clock")
    operator.get_by_role("button", name="Create key").click()
    key = operator.locator("tbody tr", has_text="a clock")
    key.get_by_role("link", name="Revoke").click()
    expect(operator.locator("h1")).to_have_text("Revoke the key “a clock”?")
    operator.goto("/admin")
    worker = operator.locator("tbody tr", has=operator.get_by_role("link", name="Restart"))
    worker.get_by_role("link", name="Restart").click()
    expect(operator.locator("h1")).to_contain_text("Restart ")
    operator.get_by_role("link", name="No, go back").click()
    worker.get_by_role("link", name="Drain").click()
    expect(operator.locator("h1")).to_contain_text("Drain ")
    operator.goto("/admin/jobs/early-1")
    operator.get_by_role("button", name="Delete", exact=True).click()
    expect(operator.locator("h1")).to_have_text("Delete 1 job?")
    operator.get_by_role("link", name="No, go back").click()
    expect(operator.locator(".flash")).to_have_count(0)
    assert system.client.get("/readyz").json()["workers"] == 1


def test_many_jobs_are_retried_in_the_background_with_progress(operator: Page, system: System) -> None:
    pause(operator, "interactive")
    seed_dead_jobs(system, *(f"many-{number}" for number in range(120)))
    operator.goto("/admin/dead")
    operator.get_by_role("button", name="Retry all").click()
    operator.get_by_role("button", name=re.compile("Yes, retry")).click()
    expect(operator.locator("h1")).to_have_text("Retry: finished")
    expect(operator.locator(".progress-text")).to_contain_text("jobs done")
    operator.goto("/admin/jobs?state=queued")
    operator.get_by_role("button", name="Delete all").click()
    operator.get_by_role("button", name=re.compile("Yes, delete")).click()
    expect(operator.locator("h1")).to_have_text("Delete: finished")
    resume(operator, "interactive")


def test_an_expired_session_and_a_made_up_message_are_noticed(operator: Page) -> None:
    operator.goto("/admin?said=Your+account+is+locked")
    expect(operator.locator(".flash")).to_have_count(0)
    operator.context.clear_cookies()
    expect(operator.locator("#stale")).to_contain_text("Your session has ended.")
    expect(operator.locator("#stale").get_by_role("link", name="Log in again")).to_be_visible()


def test_dead_jobs_are_acknowledged(operator: Page, system: System) -> None:
    seed_dead_jobs(system, "ack-1")
    operator.goto("/admin")
    operator.get_by_role("button", name="Acknowledge dead jobs").click()
    expect(operator.locator(".flash")).to_contain_text("acknowledged")
    expect(operator.locator(".verdict")).not_to_contain_text("dead")

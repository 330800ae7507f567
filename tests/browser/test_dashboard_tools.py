"""What makes the dashboard quick to use: columns, order, acts on a row, pages, themes, times, keys."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from shared.domain.job_state import JobState
from shared.ports.jobs import JobQuery
from tests.support.browser_pages import seed_dead_jobs
from tests.support.music import make_song
from tests.support.seed_data import job_store, seed_batch
from tests.support.system import System

Seed = Callable[..., None]


@pytest.fixture
def seed(system: System) -> Iterator[Seed]:
    """Adds dead jobs, and removes them after the test: other tests count all dead jobs."""
    added: list[str] = []

    def add(*ids: str) -> None:
        added.extend(ids)
        seed_dead_jobs(system, *ids)

    yield add
    with job_store(system) as jobs:
        for job_id in added:
            jobs.remove(job_id)


def names(page: Page) -> list[str]:
    return page.locator(".jobs tbody th a").all_inner_texts()


def test_columns_are_chosen_and_stay_chosen(operator: Page, system: System) -> None:
    system.finished(system.submit(make_song(432.0, seconds=3), **{"Content-Type": "audio/wav"}))
    operator.goto("/admin/jobs?state=succeeded")
    expect(operator.get_by_role("columnheader", name="Result")).to_be_visible()
    expect(operator.locator(".jobs td.col-result").first).to_have_text(re.compile(r"43[12]\.\d Hz"))
    expect(operator.get_by_role("columnheader", name="Worker")).to_be_hidden()
    operator.get_by_text("Columns", exact=True).click()
    operator.get_by_role("checkbox", name="Worker").check()
    operator.get_by_role("checkbox", name="Result").uncheck()
    expect(operator.get_by_role("columnheader", name="Worker")).to_be_visible()
    operator.reload()
    expect(operator.get_by_role("columnheader", name="Worker")).to_be_visible()
    expect(operator.get_by_role("columnheader", name="Result")).to_be_hidden()


def test_all_jobs_are_sorted_by_a_column_and_stay_sorted_after_a_redraw(operator: Page, seed: Seed) -> None:
    seed("sort-b", "sort-c", "sort-a")
    operator.goto("/admin/jobs?state=dead&q=sort")
    heading = operator.get_by_role("columnheader", name="File")
    heading.get_by_role("link").click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    assert names(operator) == ["sort-a.m4a", "sort-b.m4a", "sort-c.m4a"]
    heading.get_by_role("link").click()
    expect(heading).to_have_attribute("aria-sort", "descending")
    assert names(operator) == ["sort-c.m4a", "sort-b.m4a", "sort-a.m4a"]
    seed("sort-d")
    operator.locator("#new-jobs").click()
    expect(operator.locator(".jobs tbody tr")).to_have_count(4)
    assert names(operator) == ["sort-d.m4a", "sort-c.m4a", "sort-b.m4a", "sort-a.m4a"]


def test_jobs_are_sorted_on_a_phone(operator: Page, seed: Seed) -> None:
    seed("pocket-b", "pocket-c", "pocket-a")
    operator.set_viewport_size({"width": 390, "height": 844})
    operator.goto("/admin/jobs?state=dead&q=pocket")
    operator.get_by_label("Sort by").select_option(label="File")
    operator.get_by_role("button", name="Sort", exact=True).click()
    expect(operator.get_by_text("sorted by file")).to_be_visible()
    assert names(operator) == ["pocket-a.m4a", "pocket-b.m4a", "pocket-c.m4a"]
    operator.get_by_role("link", name="Descending").click()
    expect(operator.get_by_role("link", name="Ascending")).to_be_visible()
    assert names(operator) == ["pocket-c.m4a", "pocket-b.m4a", "pocket-a.m4a"]
    expect(operator.get_by_label("Sort by")).to_have_value("-file")


def test_all_jobs_are_sorted_by_a_click_on_submitted(operator: Page, system: System, seed: Seed) -> None:
    seed(*(f"order-{number:02}" for number in range(30)))
    operator.goto("/admin/jobs?state=dead")
    submitted = operator.get_by_role("columnheader", name="Submitted")
    expect(submitted).to_have_attribute("aria-sort", "descending")
    assert "order-29.m4a" in names(operator)
    submitted.get_by_role("link").click()
    expect(submitted).to_have_attribute("aria-sort", "ascending")
    with job_store(system) as jobs:
        query = JobQuery(states=frozenset({JobState.DEAD}), oldest_first=True, limit=25)
        oldest = [job.input.filename for job in jobs.page(query).jobs]
    assert names(operator) == oldest
    operator.get_by_role("link", name="Newer jobs").click()
    expect(operator.get_by_role("link", name="Older jobs")).to_be_visible()
    expect(submitted).to_have_attribute("aria-sort", "ascending")
    assert not set(oldest) & set(names(operator))


def test_an_order_by_a_column_covers_all_pages(operator: Page, seed: Seed) -> None:
    seed(*(f"part-{number:02}" for number in range(30)))
    operator.goto("/admin/dead")
    operator.get_by_role("columnheader", name="File").get_by_role("link").click()
    expect(operator.get_by_text("sorted by file")).to_be_visible()
    first = names(operator)
    operator.get_by_role("link", name="Next jobs").click()
    expect(operator.get_by_role("link", name="Previous jobs")).to_be_visible()
    both = [*first, *names(operator)]
    assert both == sorted(both)


def test_the_jobs_of_a_batch_are_canceled_and_deleted_after_a_question(
    operator: Page, system: System
) -> None:
    seed_batch(system, "batch-acts")
    operator.goto("/admin/batches/batch-acts")
    operator.get_by_role("button", name="Cancel all").click()
    expect(operator.locator("h1")).to_have_text("Cancel 2 jobs?")
    operator.get_by_role("button", name="Yes, cancel 2 jobs").click()
    expect(operator.locator(".flash")).to_have_text("2 jobs were canceled.")
    expect(operator.get_by_role("button", name="Cancel all")).to_have_count(0)
    operator.get_by_role("button", name="Delete all").click()
    operator.get_by_role("button", name="Yes, delete 3 jobs").click()
    expect(operator.locator(".flash")).to_have_text("3 jobs were deleted.")
    expect(operator.locator(".tag.gone")).to_have_count(3)


def test_the_button_of_a_row_acts_on_that_job_whatever_is_selected(operator: Page, seed: Seed) -> None:
    seed("row-1", "row-2")
    operator.goto("/admin/jobs?state=dead&q=row")
    operator.get_by_label("Select row-1.m4a").check()
    operator.get_by_role("button", name="Delete row-2.m4a").click()
    expect(operator.locator("h1")).to_have_text("Delete 1 job?")
    operator.get_by_role("button", name="Yes, delete 1 job").click()
    expect(operator.locator(".flash")).to_have_text("1 job was deleted.")
    expect(operator.get_by_label("Select row-1.m4a")).to_have_count(1)
    expect(operator.get_by_label("Select row-2.m4a")).to_have_count(0)


def test_pages_go_back_to_the_newest(operator: Page, seed: Seed) -> None:
    seed(*(f"page-{number:02}" for number in range(30)))
    operator.goto("/admin/jobs?state=dead")
    first = names(operator)
    assert len(first) == 25
    operator.get_by_role("link", name="Older jobs").click()
    expect(operator.get_by_role("link", name="Newer jobs")).to_be_visible()
    assert not set(first) & set(names(operator))
    operator.get_by_role("link", name="Newer jobs").click()
    expect(operator.get_by_role("link", name="Newer jobs")).to_have_count(0)
    assert names(operator) == first


def test_the_keyboard_moves_selects_opens_and_goes(operator: Page, seed: Seed) -> None:
    seed("key-1", "key-2")
    operator.goto("/admin/jobs?state=dead&q=key")
    second = names(operator)[1]
    operator.keyboard.press("j")
    operator.keyboard.press("j")
    expect(operator.locator("tr.current th a")).to_have_text(second)
    operator.keyboard.press("x")
    expect(operator.get_by_label(f"Select {second}")).to_be_checked()
    operator.evaluate("document.activeElement.blur()")
    operator.keyboard.press("Enter")
    operator.wait_for_url("**/admin/jobs/key-*")
    expect(operator.locator("h1")).to_have_text(second)
    operator.keyboard.press("g")
    operator.keyboard.press("a")
    operator.wait_for_url("**/admin/audit")
    expect(operator.locator("h1")).to_have_text("Audit log")
    operator.keyboard.press("/")
    operator.keyboard.type("jgx?")
    expect(operator.get_by_label("Search")).to_have_value("jgx?")


def test_the_help_lists_the_shortcuts_and_turns_them_off(operator: Page) -> None:
    operator.goto("/admin/audit")
    operator.keyboard.press("?")
    help_dialog = operator.get_by_role("dialog", name="Keyboard shortcuts")
    expect(help_dialog).to_be_visible()
    help_dialog.get_by_label("Use keyboard shortcuts in this browser").uncheck()
    operator.keyboard.press("Escape")
    expect(help_dialog).to_be_hidden()
    operator.keyboard.press("?")
    operator.keyboard.press("g")
    operator.keyboard.press("j")
    expect(help_dialog).to_be_hidden()
    expect(operator.locator("h1")).to_have_text("Audit log")


def test_the_theme_is_switched_and_kept(operator: Page) -> None:
    operator.emulate_media(color_scheme="light")
    operator.goto("/admin/history")
    background = "getComputedStyle(document.body).backgroundColor"
    light = operator.evaluate(background)
    theme = operator.get_by_role("button", name="Color theme")
    expect(theme).to_have_text("Theme: system")
    theme.click()
    theme.click()
    expect(theme).to_have_text("Theme: dark")
    dark = operator.evaluate(background)
    assert dark != light
    operator.goto("/")
    assert operator.evaluate(background) == dark
    operator.get_by_role("button", name="Color theme").click()
    assert operator.evaluate(background) == light


def test_times_are_relative_or_exact(operator: Page, seed: Seed) -> None:
    seed("time-1")
    operator.goto("/admin/jobs?state=dead&q=time")
    when = operator.locator(".jobs time").first
    expect(when).to_have_text(re.compile(r"min"))
    expect(when).to_have_attribute("title", re.compile(r"\(\d{4}-\d\d-\d\d .* UTC\)"))
    operator.get_by_role("button", name="Show exact times").click()
    expect(when).to_have_text(re.compile(r"\d:\d\d:\d\d"))
    operator.reload()
    expect(when).to_have_text(re.compile(r"\d:\d\d:\d\d"))


def test_an_id_is_copied(operator: Page, seed: Seed) -> None:
    seed("copy-1")
    operator.context.grant_permissions(["clipboard-read", "clipboard-write"])
    operator.goto("/admin/jobs/copy-1")
    operator.get_by_role("button", name="Copy the ID").click()
    assert operator.evaluate("navigator.clipboard.readText()") == "copy-1"

"""The API reference and the guides in a browser. A page that loads from another host fails its test."""

import re
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect

from tests.support.browser_pages import axe_problems


def test_the_reference_has_every_group_search_and_code_samples(page: Page) -> None:
    with page.expect_response("**/scalar-api-reference-*.js*") as script:
        page.goto("/docs")
    assert script.value.headers["content-encoding"] == "gzip"
    expect(page.get_by_role("heading", name="Kammerton").first).to_be_visible()
    page.get_by_role("button", name=re.compile("Create a job from a file")).first.click()
    expect(page.get_by_text("/v1/jobs").first).to_be_visible()
    expect(page.get_by_text("curl").first).to_be_visible()


def open_reference(page: Page) -> None:
    page.goto("/docs")
    expect(page.get_by_role("heading", name="Kammerton").first).to_be_visible()


def test_the_search_finds_an_operation_and_goes_to_it(page: Page) -> None:
    open_reference(page)
    page.get_by_role("button", name="Search").click()
    dialog = page.get_by_role("dialog", name="Reference Search")
    dialog.locator("input").fill("redeliver")
    dialog.get_by_role("option").filter(has_text=re.compile("redeliver", re.IGNORECASE)).first.click()
    expect(dialog).to_be_hidden()
    expect(page).to_have_url(re.compile("#.*redeliver", re.IGNORECASE))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_problem_in_the_reference(
    open_context: Callable[..., BrowserContext], scheme: str
) -> None:
    page = open_context(color_scheme=scheme, reduced_motion="reduce").new_page()
    open_reference(page)
    expect(page.locator(".client-libraries").first).to_be_visible()
    expect(page.locator(".client-libraries-list [role=tab]")).to_have_count(0)
    assert axe_problems(Axe(), page) == []


def test_an_operation_is_tried_with_a_key_against_this_server(page: Page, operator: Page) -> None:
    operator.goto("/admin/keys")
    operator.get_by_label("Name: who uses it, and for what").fill("a reader of the reference")
    operator.get_by_role("button", name="Create key").click()
    token = operator.locator(".token .curl code").inner_text()
    open_reference(page)
    page.get_by_role("textbox", name="Bearer Token").first.fill(token)
    page.get_by_role("button", name="Test Request (get /v1/jobs)", exact=True).click()
    client = page.get_by_role("dialog", name="API Client")
    with page.expect_response(re.compile("/v1/jobs")) as response:
        client.get_by_role("button", name=re.compile("Send get request to")).click()
    assert response.value.status == 200
    assert response.value.request.headers["authorization"] == f"Bearer {token}"
    expect(client.get_by_text("200 OK").first).to_be_visible()


def test_guides_link_to_each_other(page: Page) -> None:
    page.goto("/docs/quickstart")
    page.locator(".guide").get_by_role("link", name="Authentication").first.click()
    expect(page).to_have_url(re.compile("/docs/authentication"))
    expect(page.locator(".guide h1")).to_be_visible()

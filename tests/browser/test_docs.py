"""The API reference and the guides in a browser. A page that loads from another host fails its test."""

import re

from playwright.sync_api import Page, expect


def test_the_reference_has_every_group_search_and_code_samples(page: Page) -> None:
    with page.expect_response("**/scalar-api-reference-*.js*") as script:
        page.goto("/docs")
    assert script.value.headers["content-encoding"] == "gzip"
    expect(page.get_by_role("heading", name="Kammerton").first).to_be_visible()
    page.get_by_role("button", name=re.compile("Create a job from a file")).first.click()
    expect(page.get_by_text("/v1/jobs").first).to_be_visible()
    expect(page.get_by_text("curl").first).to_be_visible()


def test_guides_link_to_each_other(page: Page) -> None:
    page.goto("/docs/quickstart")
    page.locator(".guide").get_by_role("link", name="Authentication").first.click()
    expect(page).to_have_url(re.compile("/docs/authentication"))
    expect(page.locator(".guide h1")).to_be_visible()

"""A server that requires an API key: the page keeps the key, and results have links that can be shared."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.browser_pages import OPERATOR, TIMEOUT_MS, log_in, wav_file
from tests.support.music import make_song
from tests.support.system import System, running_system


@pytest.fixture(scope="module")
def private_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    settings = {"KAMMERTON_ADMIN_PASSWORD": OPERATOR, "KAMMERTON_ALLOW_ANONYMOUS": "false"}
    with running_system(tmp_path_factory.mktemp("private") / "data", **settings) as running:
        yield running


@pytest.fixture
def context(browser: Browser, private_system: System) -> Iterator[BrowserContext]:
    context = browser.new_context(base_url=str(private_system.client.base_url).rstrip("/"))
    context.set_default_timeout(TIMEOUT_MS)
    yield context
    context.close()


def create_key(page: Page) -> str:
    log_in(page, OPERATOR)
    page.goto("/admin/keys")
    page.get_by_label("Name: who uses it, and for what").fill("a musician")
    page.get_by_role("button", name="Create key").click()
    token = page.locator(".token .curl code").inner_text()
    page.reload()
    expect(page.locator(".token")).to_have_count(0)
    expect(page.locator("tbody tr", has_text="a musician")).to_have_count(1)
    page.get_by_role("button", name="Log out").click()
    return token


def test_a_result_has_a_link_that_others_can_open_until_the_job_is_deleted(
    context: BrowserContext, browser: Browser, private_system: System
) -> None:
    page = context.new_page()
    token = create_key(page)
    page.goto("/")
    page.set_input_files("input[type=file]", [wav_file("song.wav", make_song(432.0, seconds=5))])
    expect(page.locator(".song.rejected .status")).to_contain_text("requires an API key")
    page.get_by_label("API key").fill(token)
    page.get_by_label("API key").blur()
    page.reload()
    page.set_input_files("input[type=file]", [wav_file("song.wav", make_song(432.0, seconds=5))])
    expect(page.locator(".answer .pitch")).to_be_visible()
    expect(page.locator(".curl code")).to_contain_text('curl -H "Authorization: Bearer $KEY"')
    link = page.get_by_role("link", name="Result page").get_attribute("href")
    assert link is not None
    assert link.startswith("/r/")

    with browser.new_context(base_url=str(private_system.client.base_url)) as other:
        stranger = other.new_page()
        stranger.goto(link)
        expect(stranger.locator(".answer .pitch")).to_be_visible()
        expect(stranger.get_by_role("button", name="Delete from server")).to_have_count(0)
        preview = stranger.locator("meta[property='og:image']").get_attribute("content")
        assert preview is not None
        picture = stranger.request.get(preview)
        assert (picture.status, picture.headers["content-type"]) == (200, "image/png")
        stranger.get_by_role("link", name="JSON").click()
        assert '"a4_hz"' in stranger.content()
        forged = stranger.goto(link[:-3] + "AAA")
        assert forged is not None
        assert forged.status == 404
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Delete from server").click()
        expect(page.locator(".song")).to_have_count(0)
        deleted = stranger.goto(link)
        assert deleted is not None
        assert deleted.status == 404

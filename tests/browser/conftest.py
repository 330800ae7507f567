"""A running system and browser contexts for all tests of pages."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.browser_pages import (
    OPERATOR,
    TIMEOUT_MS,
    VIEWER,
    log_in,
    pause,
    resume,
)
from tests.support.system import System, running_system

expect.set_options(timeout=TIMEOUT_MS)


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    passwords = {"KAMMERTON_ADMIN_PASSWORD": OPERATOR, "KAMMERTON_VIEWER_PASSWORD": VIEWER}
    with running_system(tmp_path_factory.mktemp("browser") / "data", **passwords) as running:
        yield running


@pytest.fixture
def open_context(browser: Browser, system: System) -> Iterator[Callable[..., BrowserContext]]:
    """Opens browser contexts. Fails the test if a page loads from another host or logs an error."""
    opened: list[BrowserContext] = []
    problems: list[str] = []
    home = str(system.client.base_url).rstrip("/")
    own = (home, f"blob:{home}")

    def watch(page: Page) -> None:
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda entry: problems.append(entry.text) if "Refused" in entry.text else None)

    def make(**options: Any) -> BrowserContext:
        context = browser.new_context(base_url=home, **options)
        context.set_default_timeout(TIMEOUT_MS)
        context.on("page", watch)
        context.on(
            "request",
            lambda request: problems.append(request.url) if not request.url.startswith(own) else None,
        )
        opened.append(context)
        return context

    yield make
    for context in opened:
        context.close()
    assert problems == []


@pytest.fixture
def page(open_context: Callable[..., BrowserContext]) -> Page:
    return open_context().new_page()


@pytest.fixture
def operator(open_context: Callable[..., BrowserContext]) -> Page:
    page = open_context().new_page()
    log_in(page, OPERATOR)
    return page


@pytest.fixture
def paused_queue(system: System, operator: Page) -> Iterator[None]:
    """Pauses the interactive queue during the test."""
    pause(operator, "interactive")
    yield
    resume(operator, "interactive")

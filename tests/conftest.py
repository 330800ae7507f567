"""Fixtures that several folders of tests share."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn, TypeVar

import hypothesis
import pytest
from playwright.sync_api import Browser

from local.processes import CannotStart
from tests.support.browser import chromium_path, running_browser
from tests.support.servers import S3Server, ValkeyServer, running_s3, running_valkey
from tests.support.system import ALLOWED_ORIGIN, System, running_system

TESTS = Path(__file__).parent
Server = TypeVar("Server")
JAVASCRIPT = ["@kubernetes-models/keda@0.4.2", "standardwebhooks@1.1.1", "svix@2.5.0", "tus-js-client@4.3.1"]

# A slow machine is no failure.
hypothesis.settings.register_profile("kammerton", deadline=None)
hypothesis.settings.load_profile("kammerton")


MARKERS = ("unit", "contract", "integration", "system", "browser", "deployment")
"""Each folder of tests gives its tests the marker of its name; see docs/testing.md."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by its folder, and run the slow system tests first, so that no process waits for one."""
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        if folder in MARKERS:
            item.add_marker(folder)
    items.sort(key=lambda item: item.get_closest_marker("system") is None)


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    with _started(running_valkey()) as server:
        yield server


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    with _started(running_s3()) as server:
        yield server


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder below which the JavaScript clients, receivers and schemas of our tests are installed."""
    folder = tmp_path_factory.mktemp("node")
    npm = shutil.which("npm")
    try:
        assert npm is not None, "npm is not installed"
        command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", *JAVASCRIPT]
        subprocess.run(command, check=True, capture_output=True, timeout=240)
    except (AssertionError, subprocess.SubprocessError) as missing:
        _skip_or_fail(missing)
    return folder


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One for all tests that leave it as they found it."""
    settings = {"KAMMERTON_CORS_ORIGINS": ALLOWED_ORIGIN, "KAMMERTON_DIRECT_PART_BYTES": str(5 * 1024 * 1024)}
    with running_system(tmp_path_factory.mktemp("system") / "data", **settings) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Not for the session: while Playwright is running, nothing else may run an event loop."""
    if chromium_path() is None:
        message = "no Chromium: on Debian and Ubuntu, apt install chromium"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with running_browser() as running:
        yield running


@contextmanager
def _started(server: AbstractContextManager[Server]) -> Iterator[Server]:
    with ExitStack() as stack:
        try:
            started = stack.enter_context(server)
        except CannotStart as missing:
            _skip_or_fail(missing)
        yield started


def _skip_or_fail(missing: Exception) -> NoReturn:
    """Only a laptop may go without."""
    if os.environ.get("CI"):
        raise missing
    pytest.skip(str(missing))

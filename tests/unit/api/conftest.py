"""The API over fakes, as most tests here want it."""

from collections.abc import Iterator

import pytest

from tests.support.api_harness import ApiHarness, shared_api


@pytest.fixture
def api() -> Iterator[ApiHarness]:
    """An API that takes jobs without an API key."""
    with shared_api() as harness:
        yield harness


@pytest.fixture
def private_api() -> Iterator[ApiHarness]:
    """An API that requires an API key for everything."""
    with shared_api(allow_anonymous=False) as harness:
        yield harness

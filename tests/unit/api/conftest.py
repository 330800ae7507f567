"""The API over fakes, as most tests here want it."""

from collections.abc import Iterator

import pytest

from tests.support.api_harness import ApiHarness


@pytest.fixture
def api() -> Iterator[ApiHarness]:
    """An API that takes jobs without an API key."""
    harness = ApiHarness()
    with harness.client:
        yield harness


@pytest.fixture
def private_api() -> Iterator[ApiHarness]:
    """An API that requires an API key for everything."""
    harness = ApiHarness(allow_anonymous=False)
    with harness.client:
        yield harness

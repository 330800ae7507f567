"""A dashboard over fakes."""

from collections.abc import Iterator

import pytest

from tests.support.api_harness import ApiHarness, shared_api
from tests.support.dashboard import HTML


@pytest.fixture
def api() -> Iterator[ApiHarness]:
    """An API whose client sends what a browser sends."""
    with shared_api() as harness:
        harness.client.headers.update(HTML)
        yield harness

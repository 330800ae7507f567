"""A dashboard over fakes."""

from collections.abc import Iterator

import pytest

from tests.support.api_harness import ApiHarness
from tests.support.dashboard import HTML


@pytest.fixture
def api() -> Iterator[ApiHarness]:
    """A api whose client sends what a browser sends."""
    harness = ApiHarness()
    with harness.client:
        harness.client.headers.update(HTML)
        yield harness

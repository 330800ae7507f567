"""A dashboard over fakes."""

from collections.abc import Iterator

import pytest

from tests.support.dashboard import HTML
from tests.unit.api.conftest import World


@pytest.fixture
def world() -> Iterator[World]:
    """A world whose client sends what a browser sends."""
    made = World()
    with made.client:
        made.client.headers.update(HTML)
        yield made

"""Fixtures that several folders of tests share."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NoReturn

import pytest

from local.processes import CannotStart
from tests.servers import S3Server, ValkeyServer, a_valkey, an_s3


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    with ExitStack() as stack:
        try:
            server = stack.enter_context(a_valkey())
        except CannotStart as missing:
            _skip_or_fail(missing)
        yield server


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    with ExitStack() as stack:
        try:
            server = stack.enter_context(an_s3())
        except CannotStart as missing:
            _skip_or_fail(missing)
        yield server


def _skip_or_fail(missing: CannotStart) -> NoReturn:
    """Only a laptop may go without a server."""
    if os.environ.get("CI"):
        raise missing
    pytest.skip(str(missing))

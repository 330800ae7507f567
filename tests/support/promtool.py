"""Prometheus's own judge of metrics and rules."""

import os
import shutil

import pytest


def find_promtool() -> str:
    """Where it is. Only a laptop may go without it."""
    found = shutil.which("promtool")
    if found is None:
        missing = "promtool is missing: apt-get install prometheus"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found

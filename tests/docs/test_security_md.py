"""SECURITY.md speaks of tests that exist."""

import re
from pathlib import Path

from shared.settings import Settings

ROOT = Path(__file__).parents[2]


def test_every_test_that_the_threat_model_names_exists() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    named = set(re.findall(r"test_\w+\.py", text))
    assert len(named) > 15
    assert named <= {path.name for path in (ROOT / "tests").rglob("test_*.py")}


def test_every_setting_that_it_names_exists() -> None:
    for name in re.findall(r"KAMMERTON_(\w+)", (ROOT / "SECURITY.md").read_text()):
        assert name.lower() in Settings.model_fields, name

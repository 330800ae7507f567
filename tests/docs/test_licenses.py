"""The license of every package that Kammerton installs fits its own."""

from pathlib import Path

import pytest

from tools.licenses import Package, locked

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("lock", ["api", "worker", "run"])
def test_every_shipped_package_has_a_compatible_license(lock: str) -> None:
    packages = list(locked(lock))
    assert len(packages) > 30
    assert [package for package in packages if not package.is_compatible] == []


@pytest.mark.parametrize(
    "license",
    [
        "GPL-3.0-only",
        "AGPL-3.0-or-later",
        "GNU Affero General Public License v3",
        "BUSL-1.1",
        "SSPL-1.0",
        "unknown",
    ],
)
def test_an_incompatible_license_is_reported(license: str) -> None:
    assert not Package("example", "1", license).is_compatible


@pytest.mark.parametrize("license", ["MIT", "LGPL-2.1-or-later", "GPL-3.0-only OR BSD-3-Clause", "MPL-2.0"])
def test_a_compatible_license_is_accepted(license: str) -> None:
    assert Package("example", "1", license).is_compatible


def test_the_project_says_that_it_is_apache() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert 'license = "Apache-2.0"' in (ROOT / "pyproject.toml").read_text()

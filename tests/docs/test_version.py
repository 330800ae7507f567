"""The version is written in one place."""

from pathlib import Path

from shared.version import VERSION

ROOT = Path(__file__).parents[2]
SOURCES = ("api", "worker", "shared", "local", "tools", "benchmarks", "deploy")


def test_no_other_source_file_contains_the_version() -> None:
    files = [file for folder in SOURCES for file in (ROOT / folder).rglob("*.py")]
    files += [ROOT / "pyproject.toml", ROOT / "Dockerfile", ROOT / "docker-compose.yml"]
    assert len(files) > 100
    found = [str(file.relative_to(ROOT)) for file in files if f'"{VERSION}"' in file.read_text()]
    assert found == ["shared/version.py"]

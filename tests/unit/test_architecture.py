"""The walls that neither import-linter nor ruff can see."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path for folder in ("api", "worker", "shared", "local") for path in (ROOT / folder).rglob("*.py")
)
ENTRY_POINTS = {
    path.relative_to(ROOT).as_posix()
    for path in SOURCES
    if path.name in {"main.py", "__main__.py", "server.py"}
}
MAY_CONNECT = ENTRY_POINTS | {"worker/health/probe.py", "api/access/key_commands.py"}
HEAVY = ("librosa", "numpy", "scipy", "soundfile", "av", "numba")
WEB = ("fastapi", "starlette", "uvicorn")


def imports(path: Path) -> set[str]:
    """Dotted names that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_file_says_what_it_is_for(path: Path) -> None:
    assert path.stat().st_size == 0 or ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_file_grows_past_400_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_only_entry_points_see_services_and_settings(path: Path) -> None:
    if name_of(path) in MAY_CONNECT | {"shared/services.py"}:
        return
    assert not imports(path) & {"shared.services", "shared.settings"}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nobody_imports_an_entry_point(path: Path) -> None:
    if path.name == "__main__.py":
        return  # it is the command line, and starts them
    modules = {name.removesuffix(".py").replace("/", ".") for name in ENTRY_POINTS}
    assert not imports(path) & modules


def modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(ended.stdout.split())


def test_the_api_loads_nothing_that_touches_samples() -> None:
    loaded = modules_after("import api.app, api.jobs.router")
    assert "fastapi" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_the_worker_loads_no_web_framework() -> None:
    loaded = modules_after("import worker.analyze_files, worker.maintenance.rescuer, worker.health.heartbeat")
    assert "librosa" in loaded
    assert loaded.isdisjoint(WEB)


def test_the_rescuer_does_not_pay_for_librosa() -> None:
    assert modules_after("import worker.maintenance.rescuer").isdisjoint(HEAVY)


def test_every_test_mirrors_a_source_file() -> None:
    for test in (ROOT / "tests" / "unit").rglob("test_*.py"):
        folder = ROOT / test.parent.relative_to(ROOT / "tests" / "unit")
        assert folder.is_dir(), name_of(test)

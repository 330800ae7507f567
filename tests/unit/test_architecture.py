"""Rules about the source that neither import-linter nor ruff can check."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


SOURCES = sorted(
    path for folder in ("api", "worker", "shared", "local", "cli") for path in (ROOT / folder).rglob("*.py")
)
ENTRY_POINTS = {
    path.relative_to(ROOT).as_posix()
    for path in SOURCES
    if path.name in {"main.py", "__main__.py", "server.py"}
} | {"worker/background.py"}
MAY_CONNECT = ENTRY_POINTS | {"api/access/key_commands.py", "cli/keys.py"}
SETTINGS = {name_of(path) for path in SOURCES if path.parent == ROOT / "shared" / "settings"}
MAX_FILES_PER_FOLDER = 16
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


def importers_of(modules: set[str], *, except_for: set[str]) -> list[str]:
    return [name_of(path) for path in SOURCES if name_of(path) not in except_for and imports(path) & modules]


def test_every_file_has_a_docstring() -> None:
    sources = [path for path in SOURCES if path.stat().st_size]
    assert [name_of(path) for path in sources if not ast.get_docstring(ast.parse(path.read_text()))] == []


def test_no_file_has_more_than_400_lines() -> None:
    assert [name_of(path) for path in SOURCES if len(path.read_text().splitlines()) > 400] == []


def test_no_folder_has_too_many_files() -> None:
    files = Counter(name_of(path.parent) for path in SOURCES if path.name != "__init__.py")
    assert {folder: count for folder, count in files.items() if count > MAX_FILES_PER_FOLDER} == {}


def test_only_entry_points_import_services_and_settings() -> None:
    allowed = MAY_CONNECT | {"shared/services.py"} | SETTINGS
    assert importers_of({"shared.services", "shared.settings"}, except_for=allowed) == []


def test_only_command_lines_import_entry_points() -> None:
    modules = {name.removesuffix(".py").replace("/", ".") for name in ENTRY_POINTS}
    command_lines = {name for name in ENTRY_POINTS if name.endswith("__main__.py")}
    command_lines |= {"worker/background.py", "cli/services.py"}
    assert importers_of(modules, except_for=command_lines) == []


def modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(ended.stdout.split())


def test_the_api_loads_nothing_that_touches_samples() -> None:
    loaded = modules_after("import api.app, api.jobs.router")
    assert "fastapi" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_the_worker_loads_no_web_framework() -> None:
    loaded = modules_after(
        "import worker.jobs.analyze_audio, worker.maintenance.rescuer, worker.health.heartbeat"
    )
    assert "librosa" in loaded
    assert loaded.isdisjoint(WEB)


def test_the_rescuer_does_not_pay_for_librosa() -> None:
    assert modules_after("import worker.maintenance.rescuer").isdisjoint(HEAVY)


def test_every_test_mirrors_a_source_file() -> None:
    for test in (ROOT / "tests" / "unit").rglob("test_*.py"):
        folder = ROOT / test.parent.relative_to(ROOT / "tests" / "unit")
        assert folder.is_dir(), name_of(test)

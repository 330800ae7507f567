"""Keeps the logs of a whole test run, and fails the run where a secret that was used in it stands in one.

Works under pytest-xdist: all its processes share one folder, and the controller searches it at the end.
"""

import contextlib
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import pytest

from shared.logs import configure_logs
from tests.secrecy.logs import keep_log, log_path
from tests.secrecy.search import Found, Search, read_secrets
from tests.secrecy.sitecustomize import FILE_NAME, FOLDER, install

HERE = Path(__file__).parent
_RESULT = pytest.StashKey[tuple[str, list[Found]]]()
_OWNED = pytest.StashKey[Path]()
_numbers = itertools.count()
_CLIENT = "-of-a-client-"
"""In the name of the log of a script or of curl: clients may well say their own files' names."""


def pytest_configure(config: pytest.Config) -> None:
    if FOLDER not in os.environ:
        folder = Path(tempfile.mkdtemp(prefix="kammerton-secrecy-"))
        config.stash[_OWNED] = folder
        for name in ("logs", "secrets"):
            (folder / name).mkdir()
        os.environ[FOLDER] = str(folder)
        others = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), others] if others else [str(HERE)])
    install()
    patch = pytest.MonkeyPatch()
    patch.setattr(subprocess, "Popen", Followed)
    config.add_cleanup(patch.undo)
    path = log_path("pytest")
    assert path is not None
    log = path.open("a", buffering=1)
    config.add_cleanup(log.close)
    with redirect_stderr(log):
        configure_logs(log_format="json", log_level="DEBUG")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "teardown":
        for title, text in report.sections:
            if "log" not in title:  # pytest writes what our processors have not yet seen
                keep_log("captured", f"--- {report.nodeid}: {title}\n{text}")
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    folder = session.config.stash.get(_OWNED, None)
    if folder is None:
        return
    secrets = read_secrets(folder / "secrets")
    search, found, size = Search(secrets), [], 0
    search_clients = Search([secret for secret in secrets if secret.what != FILE_NAME])
    logs = [log for log in sorted((folder / "logs").iterdir()) if log.exists()]
    for log in logs:
        size += log.stat().st_size
        found += (search_clients if _CLIENT in log.name else search).log(log)
    told = f"secrets and file names: {len(secrets)}; logs: {len(logs)}, {size / 1e6:.1f} MB"
    session.config.stash[_RESULT] = (told, found)
    if found:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    told, found = config.stash.get(_RESULT, ("", []))
    if not told:
        return
    if not found:
        terminalreporter.write_line(f"No secret in any log ({told}).")
        return
    terminalreporter.section("secrets in logs", red=True)
    for one in found[:50]:
        terminalreporter.write_line(str(one))
    terminalreporter.write_line(f"{len(found)} lines of the logs hold what none may hold ({told}).", red=True)


def pytest_unconfigure(config: pytest.Config) -> None:
    folder = config.stash.get(_OWNED, None)
    if folder is None:
        return
    os.environ.pop(FOLDER, None)
    shutil.rmtree(folder / "secrets", ignore_errors=True)
    if not config.stash.get(_RESULT, ("", []))[1]:
        shutil.rmtree(folder, ignore_errors=True)


class Followed(subprocess.Popen[Any]):
    """A process whose output is kept, wherever a test sends it."""

    def __init__(self, args: Any, *more: Any, stdout: Any = None, stderr: Any = None, **options: Any) -> None:
        command = [args] if isinstance(args, (str, bytes, os.PathLike)) else [*args]
        words = " ".join(os.fsdecode(word) for word in command[:4])
        whose = _CLIENT if _is_client(command) else "-"
        self._label = f"{next(_numbers)}{whose}{re.sub(r'[^a-zA-Z0-9.]+', '-', words)[-60:]}"
        with contextlib.ExitStack() as stack:
            options |= {"stdout": self._kept(stdout, stack), "stderr": self._kept(stderr, stack)}
            super().__init__(args, *more, **options)

    def communicate(self, *args: Any, **options: Any) -> tuple[Any, Any]:
        """What it says on stderr is kept. Its stdout is its answer."""
        out, err = super().communicate(*args, **options)
        if err:
            keep_log(self._label, err if isinstance(err, str) else err.decode("utf-8", "replace"))
        return out, err

    def _kept(self, stream: Any, stack: contextlib.ExitStack) -> Any:
        log = log_path(self._label)
        if log is None:
            return stream
        if stream is subprocess.DEVNULL:
            return stack.enter_context(log.open("ab"))
        name = getattr(stream, "name", None)
        if isinstance(name, (str, os.PathLike)) and stream not in (sys.stdout, sys.stderr):
            _link(Path(name), log)
        return stream


def _is_client(command: list[Any]) -> bool:
    words = [Path(os.fsdecode(word)) for word in command[:4]]
    scripts = {word.name for word in words if word.suffix in {".py", ".mjs", ".sh"}}
    return words[0].name == "curl" or bool(scripts - {"lifeline.py"})


def _link(written: Path, log: Path) -> None:
    """The log stays when the test deletes its own."""
    with contextlib.suppress(FileExistsError):
        try:
            log.hardlink_to(written)
        except OSError:
            log.symlink_to(written.resolve())

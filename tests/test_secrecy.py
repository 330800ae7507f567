"""The search of all logs of a test run would find what it is for."""

import ast
import base64
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.secrecy.search import Search, Secret
from tests.secrecy.sitecustomize import FOLDER, MINTS, NAMES

ROOT = Path(__file__).parents[1]
SECRET = Secret('p/ss w\u00f6rd+of=mine"', "a password", "here")

PLANTED = """
import os, subprocess, sys
import tests.api.conftest as worlds
from shared.keys import Scope, issue_key
from shared.logs import get_logger
from tests.secrecy.logs import keep_log

CHILD = "import sys; from shared.keys import issue_key, Scope; sys.stderr.write(" \\
        "issue_key('a', scopes=frozenset(Scope), now=1.0)[1])"
NAME = "KAMMERTON_ADMIN_PASSWORD"

def token():
    return issue_key("a", scopes=frozenset(Scope), now=1.0)[1]

def test_a_line_of_our_log():
    get_logger("x").info("made", by=token().rpartition("_")[2])

def test_the_beginning_alone():
    keep_log("x", "made " + token().rpartition("_")[2][:20])

def test_what_a_test_prints():
    print(token())

def test_a_process_that_writes_to_nowhere():
    subprocess.run([sys.executable, "-c", CHILD], stderr=subprocess.DEVNULL, check=True)

def test_a_process_that_is_read():
    subprocess.run([sys.executable, "-c", CHILD], capture_output=True, check=True)

def test_a_file_that_is_deleted(tmp_path):
    path = tmp_path / "log"
    with path.open("w") as log:
        subprocess.run([sys.executable, "-c", CHILD], stderr=log, check=True)
    path.unlink()

def test_a_variable_of_a_process_of_a_process():
    code = f"import sys, os; sys.stderr.write(os.environ[{NAME!r}])"
    again = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"
    env = os.environ | {NAME: "correct horse battery"}
    subprocess.run([sys.executable, "-c", again], stderr=subprocess.DEVNULL, env=env, check=True)

def test_what_a_client_sends():
    headers = {"Idempotency-Key": "our-own-key-1"}
    worlds.World().client.post("/v1/jobs", content=b"RIFF", headers=headers)
    get_logger("x").info("asked", by="our-own-key-1")

def test_a_file_name():
    worlds.World().client.post("/v1/jobs", files={"file": ("our wedding.mp3", b"RIFF")})
    get_logger("x").info("uploaded", what="our wedding.mp3")
"""
HARMLESS = """
from shared.keys import Scope, issue_key
from shared.logs import get_logger

def test_nothing_is_told():
    token = issue_key("a", scopes=frozenset(Scope), now=1.0)[1]
    get_logger("x").info("made " + token, token=token)
"""


def run_of(tmp_path: Path, tests: str, *options: str) -> "subprocess.CompletedProcess[str]":
    """A test run of its own, searched at its end. In the name of each test: where it tells a secret."""
    (tmp_path / "test_it.py").write_text(tests)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    env = {name: value for name, value in os.environ.items() if name != FOLDER}
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "tests.secrecy.plugin", *options),
            *("-c", str(tmp_path / "pytest.ini"), str(tmp_path / "test_it.py")),
        ],
        cwd=ROOT,
        env=env | {"TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=300,
    )


def test_a_run_fails_for_every_secret_in_any_log_and_says_where(tmp_path: Path) -> None:
    ran = run_of(tmp_path, PLANTED)
    planted = set(re.findall(r"def (test_\w+)", PLANTED))
    assert f"{len(planted)} passed" in ran.stdout, ran.stdout
    assert ran.returncode == 1, ran.stdout
    lines = [line for line in ran.stdout.splitlines() if ".log:" in line]
    assert {word for line in lines for word in re.findall(r"::(test_\w+)", line)} == planted, ran.stdout
    assert ran.stdout.count("<HERE>") == len(lines)
    (kept,) = tmp_path.glob("kammerton-secrecy-*")
    for line in lines:
        log, number = line.split(":")[:2]
        assert Path(log).parent == kept / "logs"
        assert len(Path(log).read_text().splitlines()) >= int(number)
    assert not (kept / "secrets").exists()


def test_a_run_without_one_passes_and_leaves_nothing_behind(tmp_path: Path) -> None:
    ran = run_of(tmp_path, HARMLESS)
    assert ran.returncode == 0, ran.stdout
    assert "No secret in any log (secrets and file names: 1;" in ran.stdout
    assert not list(tmp_path.glob("kammerton-secrecy-*"))


@pytest.mark.skipif(importlib.util.find_spec("xdist") is None, reason="pytest-xdist is not installed")
def test_the_logs_of_many_test_processes_are_searched_together(tmp_path: Path) -> None:
    ran = run_of(tmp_path, PLANTED, "-n2")
    assert ran.returncode == 1, ran.stdout
    told = set(re.findall(r"::(test_\w+)", ran.stdout))
    assert told == set(re.findall(r"def (test_\w+)", PLANTED)), ran.stdout


@pytest.mark.parametrize(
    "written",
    [
        SECRET.text,
        "x=" + quote(SECRET.text, safe="") + "&",
        quote(SECRET.text),
        repr(SECRET.text),
        '{"a": "p/ss w\\u00f6rd+of=mine\\""}',
        *(base64.b64encode(f"{user}:{SECRET.text}".encode()).decode() for user in ("", "a", "ab", "abc")),
        base64.urlsafe_b64encode(SECRET.text.encode()).decode(),
    ],
)
def test_a_secret_is_found_however_it_is_written(tmp_path: Path, written: str) -> None:
    log = tmp_path / "a.log"
    log.write_text(f"{'one line' * 5000}\nbefore {written} behind\nlast", "utf-8")
    (found,) = Search([SECRET, Secret("another secret", "b", "there")]).log(log)
    assert (found.line_number, found.secret) == (2, SECRET)
    assert found.line.startswith("before ")
    assert found.line.endswith(" behind")
    assert written not in found.line
    assert Search([Secret("another secret", "b", "there")]).log(log) == []
    assert Search([]).log(log) == []


def test_a_secret_is_found_at_every_place_of_a_large_log(tmp_path: Path) -> None:
    log, size = tmp_path / "a.log", 8 * 1024 * 1024
    secret = Secret("0123456789abcdef", "x", "here")
    for at in (0, 1, 7, size - 8, size - 1, size, 2 * size - 3, 2 * size + 5):
        log.write_bytes(b"." * at + secret.text.encode())
        assert len(Search([secret]).log(log)) == 1, at


def test_every_place_that_makes_random_numbers_says_whether_they_are_secret() -> None:
    """A new one needs a row in tests/secrecy/sitecustomize.py."""
    making = set()
    for path in (
        path for folder in ("api", "worker", "shared", "local") for path in (ROOT / folder).rglob("*.py")
    ):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                name = f"{node.value.id}.{node.attr}"
                if name in {"secrets.token_hex", "secrets.token_bytes", "secrets.token_urlsafe"}:
                    making.add(".".join(path.relative_to(ROOT).with_suffix("").parts))
                assert name not in {"os.urandom", "secrets.choice", "secrets.randbits"}, path
            assert not (isinstance(node, ast.ImportFrom) and node.module in {"secrets", "random"}), path
    assert making == set(MINTS) | set(NAMES)

"""docs/errors.md lists every error code that the source can send, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from shared.observability.metrics import REASONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "errors.md").read_text()
FROM_STATUS = {"method_not_allowed"}
"""Codes that are made from the phrase of an HTTP status."""


def codes_in_source() -> set[str]:
    files = [file for folder in ("api", "shared", "worker") for file in (ROOT / folder).rglob("*.py")]
    found = {code for file in files for code in _codes(ast.parse(file.read_text()))}
    assert len(found) > 40
    return found | (set(REASONS) - {"none", "other"}) | FROM_STATUS


def _codes(tree: ast.AST) -> Iterator[str]:
    """`code = "x"` in a class, `code="x"` in a call, and the text after a status in a call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.Assign) and ast.unparse(inner.targets[0]) == "code":
                    yield from _text(inner.value)
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg == "code":
                    yield from _text(keyword.value)
            match node.args:
                case [ast.Constant(value=int(status)), code, *_] if 400 <= status < 600:
                    yield from _text(code)


def _text(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch("[a-z_]+", node.value):
        yield node.value


def test_every_error_code_is_documented() -> None:
    documented = set(re.findall(r"`([a-z_]+)`", "\n".join(re.findall(r"^\|.*|^`lost.*", PAGE, re.MULTILINE))))
    source = codes_in_source()
    assert source - documented == set(), "these codes are missing from docs/errors.md"
    words = {"code", "dead", "detail", "file", "https", "item", "limit_bytes"}
    assert documented - source - words == set(), "these codes of docs/errors.md don't exist"

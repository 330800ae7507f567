"""Every file and name in docs/walkthrough.md exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "walkthrough.md").read_text()
_QUOTED = re.compile(r"`([^`]+)`")
_FILE = re.compile(r"(?:api|worker|shared)/[\w/]+\.py")
_NAME = re.compile(r"_?[A-Za-z]\w*(?:\.\w+)?")
_NOT_CODE = {"Location", "source_url", "upload_id"}


def names_in(file: str) -> set[str]:
    """The functions, classes and methods of a file: `decode`, `Job`, `Job.start`."""
    tree = ast.parse((ROOT / file).read_text())
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    found = set()
    for node in tree.body:
        if isinstance(node, definitions):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, definitions)}
    return found


def named() -> list[tuple[str, str]]:
    """Each file with the names that follow it, up to the next file or the end of the line's step."""
    pairs = []
    for step in re.split(r"\n(?=\d+\. |\n)", PAGE):
        file = None
        for quoted in _QUOTED.findall(step):
            if _FILE.fullmatch(quoted):
                file = quoted
            elif file is not None and _NAME.fullmatch(quoted) and quoted not in _NOT_CODE:
                pairs.append((file, quoted))
    return pairs


def test_it_names_enough_steps_to_be_worth_checking() -> None:
    assert len(named()) > 40


@pytest.mark.parametrize(("file", "name"), named())
def test_every_name_exists_in_its_file(file: str, name: str) -> None:
    assert name in names_in(file)

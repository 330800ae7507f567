"""Problems of files survive the way out of the sandbox, and nothing else does."""

import ast
from pathlib import Path

import pytest

from shared.errors import Undecodable
from worker.file_problems import PROBLEMS, file_problem, identify

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_is_identified_by_its_message(name: str) -> None:
    numbers = [7, 4000, 123_456][: PROBLEMS[name].template.count("{}")]
    assert identify(file_problem(name, *numbers)) == (name, numbers)


def test_any_other_message_is_not_identified() -> None:
    assert identify(Undecodable("The file is empty. Upload a file with sound. secret")) is None


def test_numbers_carry_no_text() -> None:
    with pytest.raises(ValueError, match="digits"):
        file_problem("sample_rate", 10**40, 1, 2)
    with pytest.raises(ValueError, match="invalid literal"):
        file_problem("sample_rate", "secret", 1, 2)  # type: ignore[arg-type]


def test_decoders_raise_only_these_problems() -> None:
    raised = [
        f"{path.name}:{node.lineno}"
        for path in (ROOT / "worker/decoding").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"Undecodable", "TooComplex"}
    ]
    assert raised == []

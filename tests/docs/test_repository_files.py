"""CI, the commit hooks and the development container run the same commands as `make`."""

import json
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()


def recipe(target: str) -> str:
    """The commands of a target of the Makefile."""
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert found is not None, target
    return found[1]


def test_the_commit_hooks_run_every_tool_of_make_check() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = {
        hook["entry"].removeprefix(".venv/bin/").split()[0]
        for repo in config["repos"]
        for hook in repo["hooks"]
    }
    tools = set(re.findall(r"\$\(BIN\)/([\w-]+)", recipe("check")))
    assert tools - {"python"} <= hooks


def test_ci_runs_make_check_and_make_test() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    commands = {step.get("run") for job in workflow["jobs"].values() for step in job["steps"]}
    assert {"make check", "make test", "make audit"} <= commands


def test_the_development_container_names_targets_that_exist() -> None:
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    words = container["postCreateCommand"].split()
    assert words[0] == "make"
    for target in words[1:]:
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target


def test_every_target_has_a_line_in_make_help() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)", MAKEFILE, re.MULTILINE)
    helped = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
    assert set(phony.split()) == helped

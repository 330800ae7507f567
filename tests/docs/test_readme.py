"""The tree in the README is the tree of the repository, two levels deep."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TREE = (ROOT / "README.md").read_text().split("```")[3]
CODE = ("api", "worker", "shared", "cli", "local")


def test_the_tree_lists_every_folder_of_the_code_and_no_other() -> None:
    shown, top = set(), ""
    for line in TREE.strip().splitlines():
        names = re.findall(r"(\w+)/(?=[ ,])", line)
        assert names, line
        if line.startswith(("├", "└")):
            shown |= {f"{top}/{name}" for name in names}
        else:
            (top,) = names
            assert (ROOT / top).is_dir(), top
    real = {
        f"{top}/{folder.name}"
        for top in CODE
        for folder in (ROOT / top).iterdir()
        if folder.is_dir() and folder.name != "__pycache__" and any(folder.iterdir())
    }
    assert {name for name in shown if name.split("/")[0] in CODE} == real

"""Every link in the documentation leads somewhere, and every file that it names exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/*.md"), *ROOT.glob(".github/**/*.md")]
)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FILE = re.compile(
    r"`((?:api|worker|shared|local|cli|tests|tools|docs|deploy|benchmarks|requirements)/[\w./-]*)`"
)
_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in _LINK.findall(_FENCE.sub("", page.read_text())):
        if re.match(r"https?://|mailto:|\.\./security/policy", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} does not exist"
        if anchor:
            assert anchor in anchors_of(target), f"{link} has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_it_names_exists(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        return
    for name in _FILE.findall(page.read_text()):
        assert (ROOT / name).exists(), f"{name} does not exist"


def test_decision_records_are_numbered_dated_and_indexed() -> None:
    folder = ROOT / "docs" / "decisions"
    records = sorted(folder.glob("[0-9]*.md"))
    index = (folder / "README.md").read_text()
    for number, record in enumerate(records, start=1):
        title, _, status = record.read_text().splitlines()[:3]
        assert record.name.startswith(f"{number:04}-")
        found = re.fullmatch(rf"# {number}\. (.+)", title)
        assert found is not None, f"{record.name}: {title}"
        assert re.match(r"Status: (accepted|superseded|deprecated)[^,]*, 20\d\d-\d\d-\d\d", status), (
            record.name
        )
        assert f"| [{number}]({record.name}) | {found[1]} |" in index, record.name


def test_every_metric_in_the_documentation_exists() -> None:
    source = "\n".join(
        file.read_text() for folder in ("api", "shared", "worker") for file in (ROOT / folder).rglob("*.py")
    )
    for page in PAGES:
        for name in set(re.findall(r"`(kammerton_[a-z_]+)`", page.read_text())):
            assert f'"{name.removesuffix("_total")}"' in source, f"{page.relative_to(ROOT)} names {name}"


def test_the_index_lists_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        if page.name != "README.md":
            assert f"]({page.name})" in index, f"docs/README.md does not list {page.name}"

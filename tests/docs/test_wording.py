"""Public texts use plain English: none of the words that the project has given up, see docs/glossary.md."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

RETIRED = {
    r"door-?bells?|door-?keepers?": "message, Authenticator",
    r"\b(rung|rings? (a |the )?(bell|again|for))\b": "enqueue",
    r"\bwish(es|ed)?\b": "options, request",
    r"\b(mend|mends|mended|mending)\b": "fix",
    r"\bheed(s|ed)?\b": "follow",
    r"\b(ails?|unwell|ailing)\b": "unhealthy",
    r"\bupkeep\b": "background tasks",
    r"\banew\b": "again",
    r"\bfor ever\b": "forever",
    r"\bat work\b": "running",
    r"\bbeside\b": "next to",
    r"\b(is|are|was|were) away\b": "unavailable",
    r"\b(tells? of|told of|was told|is told|are told|were told)\b": "receive, get, learn",
    r"\b(nobody|whoever|everybody|somebody) (is at|was rung|hears|is rung)\b": "name the process",
    r"\bso (much|long|many) (of|that|as) (that )?may\b": "at most",
    r"\b(is|are) no (sound|audio|file|number|HTTP|key|upload|song|URL|address)\b": "isn't",
    r"\bhopeless\b": "unsupported",
    r"\bknobs?\b": "setting",
    r"\bhands? back\b|\bhanded back\b": "release",
    r"\bheard of\b": "last seen",
    r"\bwhat stands\b|\bas it stands\b|\bit stands\b|\bstands in\b|\bmay stand\b": "is",
    r"\bgo(es)? on with\b|\bgone on with\b": "resume, continue",
}
"""What the project used to say (as a regular expression), and what to say instead."""

PAGES = sorted(
    page
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/*.md")]
    if page.name != "tuning.md"
)


def retired_words(text: str) -> list[str]:
    """Each retired word in *text* with its line and what to say instead."""
    return [
        f"line {text[: found.start()].count(chr(10)) + 1}: {found[0]!r}; say: {better}"
        for pattern, better in RETIRED.items()
        for found in re.finditer(pattern, text, re.IGNORECASE)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_documentation_uses_no_retired_words(page: Path) -> None:
    assert retired_words(page.read_text()) == []


def test_a_retired_word_is_found() -> None:
    assert retired_words("A bell.\nThe worker heeds it.") == ["line 2: 'heeds'; say: follow"]

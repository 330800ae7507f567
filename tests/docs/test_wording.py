"""Public texts use plain English: none of the words that the project has given up, see docs/glossary.md."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

RETIRED = {
    r"door-?bells?|door-?keepers?": "message, Authenticator",
    r"\b(rung|rings? (a |the )?(bell|again))\b": "enqueue",
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
    r"(?<!there )\b(is|are) no (sound|audio|file|number|HTTP|key|upload|song|URL|address)\b": "isn't",
    r"\bhopeless\b": "unsupported",
    r"\bknobs?\b": "setting",
    r"\bhands? back\b|\bhanded back\b": "release",
    r"\bheard of\b": "last seen",
    r"\bwhat stands\b|\bas it stands\b|\bit stands\b|\bstands in\b|\bmay stand\b": "is",
    r"\bgo(es)? on with\b|\bgone on with\b": "resume, continue",
}
"""What the project used to say (as a regular expression), and what to say instead."""

FOLDERS = ("api", "worker", "shared", "local", "cli", "deploy", "tools", "benchmarks", "tests", "docs")
SUFFIXES = {".py", ".html", ".js", ".css", ".md", ".yml", ".json", ".toml"}
NOT_OURS = ("vendor", "fonts")
FILES = sorted(
    file
    for file in [*ROOT.glob("*.*"), *(file for folder in FOLDERS for file in (ROOT / folder).rglob("*"))]
    if file.suffix in SUFFIXES and file != Path(__file__) and not any(name in file.parts for name in NOT_OURS)
)


def texts(file: Path) -> Iterator[tuple[int, str]]:
    """What people read in a file, with its first line: of Python its strings and comments, else all of it."""
    source = file.read_text()
    if file.suffix != ".py":
        yield 1, source
        return
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", -1)}:
            yield token.start[0], token.string


def retired_words(text: str, first_line: int = 1) -> list[str]:
    """Each retired word in *text* with its line and what to say instead."""
    return [
        f"line {first_line + text[: found.start()].count(chr(10))}: {found[0]!r}; say: {better}"
        for pattern, better in RETIRED.items()
        for found in re.finditer(pattern, text, re.IGNORECASE)
    ]


@pytest.mark.parametrize("folder", [".", *FOLDERS])
def test_texts_use_no_retired_words(folder: str) -> None:
    found = [
        f"{file.relative_to(ROOT)} {word}"
        for file in FILES
        if (file.relative_to(ROOT).parts[:-1] or (".",))[0] == folder
        for line, text in texts(file)
        for word in retired_words(text, line)
    ]
    assert found == []


def test_a_retired_word_is_found() -> None:
    assert retired_words("A bell.\nThe worker heeds it.") == ["line 2: 'heeds'; say: follow"]

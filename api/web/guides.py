"""The guides of docs/*.md as HTML for /docs/…. Pure but for reading the files."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from shared.errors import NotFound
from shared.root_path import root_path

DOCS = Path(__file__).parents[2] / "docs"
GUIDES = {
    "quickstart": "Quick start",
    "authentication": "Authentication",
    "uploads": "Uploads",
    "source-urls": "Source URLs",
    "batches": "Batches",
    "webhooks": "Webhooks",
    "pagination": "Pagination",
    "errors": "Errors",
    "limits": "Limits",
    "versions": "Versions",
    "tuning": "Accuracy",
    "command-line": "Command line",
    "dashboard": "Dashboard",
    "configuration": "Configuration",
    "operations": "Operations",
    "proxies": "Reverse proxies",
    "glossary": "Glossary",
}
"""The name of each file, and its title in the navigation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guide:
    """A rendered guide."""

    title: str
    html: str


def read_guide(name: str) -> Guide:
    """Render a guide. Raises NotFound for other names than those of GUIDES."""
    return _render(name, root_path())


@cache
def _render(name: str, root: str) -> Guide:
    file = DOCS / f"{name}.md"
    if name not in GUIDES or not file.is_file():
        raise NotFound("This guide does not exist.")
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    text = re.sub(r"^<!--.*?-->\n", "", file.read_text(), flags=re.MULTILINE | re.DOTALL)
    tokens = markdown.parse(text)
    title = GUIDES[name]
    for number, token in enumerate(tokens):
        if token.type == "heading_open":
            heading = _plain_text(tokens[number + 1])
            token.attrSet("id", _slug(heading))
            if token.tag == "h1":
                title = heading
        for child in token.children or []:
            if child.type == "link_open":
                child.attrSet("href", _target(str(child.attrGet("href") or ""), root))
    return Guide(title=title, html=markdown.renderer.render(tokens, markdown.options, {}))


def _plain_text(inline: Token) -> str:
    return "".join(child.content for child in inline.children or [] if child.type in {"text", "code_inline"})


def _slug(text: str) -> str:
    """The anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def _target(link: str, root: str) -> str:
    """Links between guides stay on this site. Files that are not published lead to the list of guides."""
    path, _, anchor = link.partition("#")
    if not path or "://" in path or path.startswith(("mailto:", "/")):
        return link
    name = path.removesuffix(".md")
    if name in GUIDES:
        return f"{root}/docs/{name}" + (f"#{anchor}" if anchor else "")
    return f"{root}/docs/quickstart"

"""What a page would run or load, by its markup."""

from html.parser import HTMLParser


class _Dangers(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in names):
            self.found.append(f"inline {tag}")
        self.found += [f"{tag} {name}" for name in names if name.startswith("on") or name == "style"]
        for name in ("src", "href", "action", "formaction"):
            value = (names.get(name) or "").strip().lower()
            if value.startswith(("http:", "https:", "//", "javascript:", "data:")):
                self.found.append(f"{tag} {name}={value}")


def unsafe_markup(page: str) -> list[str]:
    """Inline scripts and styles, handlers, and addresses outside; a page of ours has none."""
    parser = _Dangers()
    parser.feed(page)
    return parser.found

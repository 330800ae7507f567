"""The Prefer header (RFC 7240): `wait` and `respond-async`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

MAX_WAIT_SECONDS = 30
_WAIT = re.compile(r"wait\s*=\s*(\"?)(\d+)\1", re.ASCII | re.IGNORECASE)

PREFER = {
    "name": "Prefer",
    "in": "header",
    "schema": {"type": "string"},
    "description": f"RFC 7240: `wait=N` responds when the job has finished, or after N seconds (at most "
    f"{MAX_WAIT_SECONDS}). `respond-async` does not wait.",
    "example": "wait=20",
}


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a client prefers. Preferences that are unknown or malformed are ignored."""

    wait_seconds: int | None
    respond_async: bool

    @classmethod
    def parse(cls, lines: Sequence[str]) -> "Preferences":
        """Parse all lines of the header. Of a repeated preference the first one counts."""
        wait_seconds, respond_async = None, False
        for preference in ",".join(lines).split(","):
            token = preference.partition(";")[0].strip()
            if token.lower() == "respond-async":
                respond_async = True
            elif wait_seconds is None and (match := _WAIT.fullmatch(token)):
                digits = match[2].lstrip("0") or "0"
                wait_seconds = min(int(digits), MAX_WAIT_SECONDS) if len(digits) < 9 else MAX_WAIT_SECONDS
        return cls(wait_seconds, respond_async)

    def applied(self, *, accepted: bool) -> dict[str, str]:
        """Return the Preference-Applied header. *accepted*: whether the response is 202."""
        names = ["respond-async"] if self.respond_async and accepted else []
        if self.wait_seconds is not None:
            names.append(f"wait={self.wait_seconds}")
        return {"Preference-Applied": ", ".join(names)} if names else {}

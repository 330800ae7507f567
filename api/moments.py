"""Points of time as clients send them: RFC 3339 and nothing else. A bare number may be a mistake."""

import re
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator

_LIKE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d", re.ASCII)


def _as_text(value: object) -> object:
    if not isinstance(value, str) or not _LIKE.match(value):
        raise ValueError("give it as RFC 3339 has it, with an offset: 2026-11-22T00:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_as_text)]

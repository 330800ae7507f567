"""What a client sees. Domain objects never go out bare."""

import re
from typing import Annotated

from fastapi import Path
from pydantic import AwareDatetime, BeforeValidator, Field

from shared.schemas.job import View


class ProblemView(View):
    """An error as RFC 9457 has it."""

    type: str = Field(examples=["urn:kammerton:problem:not_found"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    code: str = Field(description="The end of `type`, for programs.", examples=["not_found"])
    detail: str = Field(examples=["There is no such job. It may have expired."])
    limit_bytes: int | None = Field(
        default=None, description="With 413: the largest file that is taken.", examples=[2_147_483_648]
    )
    item: int | None = Field(
        default=None, description="With 422 of a batch: which item is meant, from 0.", examples=[3]
    )


_LIKE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d", re.ASCII)


def _as_text(value: object) -> object:
    if not isinstance(value, str) or not _LIKE.match(value):
        raise ValueError("give it as RFC 3339 has it, with an offset: 2026-11-22T00:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_as_text)]

JobId = Annotated[str, Path(max_length=128, description="The job's id.")]

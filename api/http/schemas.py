"""What a client sees. Domain objects never go out bare."""

import re
from typing import Annotated

from fastapi import Path
from pydantic import AwareDatetime, BeforeValidator, Field

from shared.schemas.job import View


class ProblemView(View):
    """An error (RFC 9457)."""

    type: str = Field(examples=["urn:kammerton:problem:not_found"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    code: str = Field(description="The end of `type`, for programs.", examples=["not_found"])
    detail: str = Field(examples=["The job does not exist. It may have expired."])
    limit_bytes: int | None = Field(
        default=None, description="With 413: the largest accepted size.", examples=[2_147_483_648]
    )
    item: int | None = Field(
        default=None, description="With 422 of a batch: the index of the invalid item, from 0.", examples=[3]
    )


_RFC3339_START = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d", re.ASCII)


def _as_text(value: object) -> object:
    if not isinstance(value, str) or not _RFC3339_START.match(value):
        raise ValueError("must be an RFC 3339 timestamp with an offset, for example 2026-11-22T00:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_as_text)]

JobId = Annotated[str, Path(max_length=128, description="The job's id.")]

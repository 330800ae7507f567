"""What a client sees. Domain objects never go out bare."""

from typing import Self

from pydantic import Field

from shared.job_view import EventView, JobView, View
from shared.ports import JobPage

__all__ = ["EventView", "JobPageView", "JobView", "ProblemView", "View"]


class JobPageView(View):
    """Some jobs, newest first."""

    jobs: list[JobView] = Field(description="Without their reports.")
    cursor: str | None = Field(description="Ask again with it for the next page; null: there is none.")

    @classmethod
    def of(cls, page: JobPage) -> Self:
        """The view of a page."""
        return cls(jobs=[JobView.of(job) for job in page.jobs], cursor=page.cursor)


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

"""What a client sees. Domain objects never go out bare."""

from typing import Self

from pydantic import Field

from api.webhooks.schemas import DeliveryView
from shared.domain.delivery import Delivery
from shared.domain.job import Job
from shared.ports.jobs import JobPage
from shared.schemas.job import JobView, View


class JobPageView(View):
    """Some jobs, newest first."""

    jobs: list[JobView] = Field(description="Without their reports.")
    cursor: str | None = Field(description="Ask again with it for the next page; null: there is none.")

    @classmethod
    def of(cls, page: JobPage) -> Self:
        """The view of a page."""
        return cls(jobs=[JobView.of(job) for job in page.jobs], cursor=page.cursor)


class JobDetailView(JobView):
    """A job, and who was told of it."""

    deliveries: list[DeliveryView] = Field(description="Newest first; empty without a webhook.")

    @classmethod
    def beside(cls, job: JobView, deliveries: tuple[Delivery, ...]) -> Self:
        """The view of a job with its deliveries."""
        return cls(**dict(job), deliveries=[DeliveryView.of(delivery) for delivery in deliveries])


class AcceptedView(JobView):
    """A new job."""

    callback_secret: str | None = Field(
        default=None,
        description="What the callback is signed with, for a caller without an API key; shown only here.",
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )


def accepted_view(job: Job, *, with_secret: bool) -> AcceptedView:
    """The view of a new job, for whoever made it."""
    secret = job.callback.secret if job.callback and with_secret else None
    return AcceptedView(**dict(JobView.of(job)), callback_secret=secret)

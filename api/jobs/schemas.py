"""Responses about jobs. A domain object never goes out as it is."""

from typing import Self

from pydantic import Field

from api.webhooks.schemas import DeliveryView
from shared.domain.job import Job
from shared.domain.webhooks.delivery import Delivery
from shared.ports.jobs import JobPage
from shared.schemas.job import JobView, View

PICTURES = "`false`: leave the histogram empty and the spectrum null."


class JobPageView(View):
    """One page of jobs, newest first."""

    jobs: list[JobView] = Field(description="Without their reports.")
    cursor: str | None = Field(description="Pass it as `cursor` to get the next page. Null on the last page.")

    @classmethod
    def of(cls, page: JobPage) -> Self:
        """The view of a page."""
        return cls(jobs=[JobView.of(job) for job in page.jobs], cursor=page.cursor)


class JobDetailView(JobView):
    """A job with its webhook deliveries."""

    deliveries: list[DeliveryView] = Field(description="Newest first. Empty if the job has no webhook.")

    @classmethod
    def with_deliveries(cls, job: JobView, deliveries: tuple[Delivery, ...]) -> Self:
        """The view of a job with these deliveries."""
        return cls(**dict(job), deliveries=[DeliveryView.of(delivery) for delivery in deliveries])


class AcceptedView(JobView):
    """A new job."""

    callback_secret: str | None = Field(
        default=None,
        description="The secret that signs the callback, for a caller without an API key. Shown only once.",
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )


def accepted_view(job: Job, *, with_secret: bool) -> AcceptedView:
    """The view of a new job for the client that created it."""
    secret = job.callback.secret if job.callback and with_secret else None
    return AcceptedView(**dict(JobView.of(job)), callback_secret=secret)

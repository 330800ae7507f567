"""Links to results that anyone who has them can open: an unguessable signature of the job's id.

They end with the job: a deleted job has no result.
"""

from collections.abc import Callable

from itsdangerous import BadSignature, Signer

from shared.domain.job import Job
from shared.errors import NotFound

_SALT = "kammerton.result-link"


class ResultLinks:
    """Signs and verifies. Every method may raise Unavailable, because `secret_key` may."""

    def __init__(self, secret_key: Callable[[], str]) -> None:
        self._secret_key = secret_key

    def path(self, job: Job) -> str:
        """The address of the job's result page. An anonymous job's id already is unguessable and enough."""
        return f"/jobs/{job.id}" if job.owner is None else f"/r/{self._signer().sign(job.id).decode()}"

    def json_path(self, job: Job) -> str:
        """The address of the job as JSON."""
        return f"/v1/jobs/{job.id}" if job.owner is None else f"{self.path(job)}/job.json"

    def verify(self, token: str) -> str:
        """The id of the job that the link is for. Raises NotFound."""
        try:
            return self._signer().unsign(token).decode()
        except BadSignature as error:
            raise NotFound("This result does not exist. It may have expired.") from error

    def _signer(self) -> Signer:
        return Signer(self._secret_key(), salt=_SALT)

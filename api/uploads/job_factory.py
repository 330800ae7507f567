"""Builds new jobs from a request's options."""

from dataclasses import dataclass

from api.access.authentication import Caller
from api.access.url_checker import UrlChecker
from api.uploads.options import DEFAULT_QUEUE, JobOptions
from api.webhooks.callback import create_callback
from shared.clock import store_time
from shared.domain.job import Job, NewJob
from shared.domain.job_fields import AudioInput, Callback
from shared.domain.source import Source
from shared.observability.logs import context_field


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFactory:
    """Builds jobs with what this service promises to each. Records nothing."""

    attempts: int
    keep_seconds: float
    callback_urls: UrlChecker

    async def callback(self, options: JobOptions, caller: Caller) -> Callback | None:
        """Create the callback that the options ask for. Raises AddressRefused, BadRequest, Overloaded."""
        return await create_callback(options.callback_url, options.events, caller, self.callback_urls)

    def queued(
        self,
        job_id: str,
        caller: Caller,
        options: JobOptions,
        audio: AudioInput | Source,
        callback: Callback | None,
    ) -> Job:
        """Build a job that waits for a worker, with its audio in storage or at a source."""
        fields = self._fields(job_id, caller, options, callback)
        if isinstance(audio, Source):
            fields["source"] = audio
            fields["input"] = AudioInput(filename=options.filename)
        else:
            fields["input"] = audio
        return Job.queued(now=store_time(), **fields)

    async def awaiting_upload(
        self, job_id: str, caller: Caller, options: JobOptions, input: AudioInput, *, expires_at: float
    ) -> Job:
        """Build a job that waits for its upload, until *expires_at*. Raises as `callback`."""
        fields = self._fields(job_id, caller, options, await self.callback(options, caller))
        fields["input"] = input
        return Job.awaiting_upload(now=store_time(), expires_at=expires_at, **fields)

    def _fields(self, job_id: str, caller: Caller, options: JobOptions, callback: Callback | None) -> NewJob:
        return {
            "id": job_id,
            "queue": options.queue or DEFAULT_QUEUE,
            "attempts_allowed": self.attempts,
            "keep_seconds": self.keep_seconds,
            "start_seconds": options.start_seconds,
            "callback": callback,
            "owner": caller.key_id,
            "request_id": context_field("request_id"),
            "traceparent": context_field("traceparent"),
        }

"""What operators do to queues, workers and webhooks. Each action is written to the audit log. Blocking."""

from dataclasses import dataclass
from typing import Annotated

from api.admin.audit import record
from api.admin.auth.authentication import AdminUser
from api.admin.overview import Overview
from api.http.provided import provided
from api.webhooks.service import WebhookService
from shared.errors import NotFound
from shared.ports.workers import WorkerCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """Every method raises Forbidden for viewers, and may raise Unavailable."""

    overview: Overview
    webhooks: WebhookService

    def pause(self, queue: str, *, user: AdminUser) -> None:
        """Stop starting jobs of a queue. Raises NotFound."""
        user.require_write()
        self._check_queue(queue)
        self.overview.controls.pause(queue)
        record(self.overview.audit, user, "pause", f"queue {queue}")

    def resume(self, queue: str, *, user: AdminUser) -> None:
        """Start jobs of a queue again. Raises NotFound."""
        user.require_write()
        self._check_queue(queue)
        self.overview.controls.resume(queue)
        record(self.overview.audit, user, "resume", f"queue {queue}")

    def send_command(self, worker: str, command: WorkerCommand | None, *, user: AdminUser) -> None:
        """Drain or restart a worker; None ends draining. Raises NotFound."""
        user.require_write()
        if worker not in {one.name for one in self.overview.workers.list_alive()}:
            raise NotFound("No worker with this name is running.")
        if command is None:
            self.overview.controls.clear_command(worker)
        else:
            self.overview.controls.send_command(worker, command)
        record(self.overview.audit, user, command or "resume", f"worker {worker}")

    def acknowledge_dead_jobs(self, *, user: AdminUser) -> None:
        """Hide the warning about the dead jobs that there are now."""
        user.require_write()
        count = self.overview.acknowledge_dead_jobs()
        record(self.overview.audit, user, "acknowledge", "dead jobs", count=count)

    def redeliver(self, delivery_id: str, *, user: AdminUser) -> None:
        """Send a webhook again. Raises NotFound, Conflict."""
        user.require_write()
        self.webhooks.redeliver_any(delivery_id)
        record(self.overview.audit, user, "redeliver", f"webhook {delivery_id}")

    def _check_queue(self, queue: str) -> None:
        if queue not in self.overview.queues:
            raise NotFound(f"Unknown queue. Valid queues: {', '.join(self.overview.queues)}.")


ProvidedOperations = Annotated[Operations, provided(Operations)]

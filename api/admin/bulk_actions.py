"""Retry, cancel or delete one job, several, or all that match a filter. Blocking.

Each action is written to the audit log. More than a few jobs are changed in the background.
"""

import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Annotated

from api.admin.audit import record
from api.admin.auth.authentication import AdminUser
from api.admin.job_selection import BulkAction, JobSelection
from api.admin.overview import Overview
from api.http.provided import provided
from api.jobs.service import JobActions
from shared.clock import store_time
from shared.errors import KammertonError, NotFound, Unavailable
from shared.observability.logs import get_logger
from shared.ports.admin import BulkOperation, DashboardStore

MAX_JOBS = 1000
"""How many jobs one request of the JSON API changes."""
FOREGROUND_JOBS = 100
"""Up to this many jobs are changed before the response."""
STALE_SECONDS = 30.0
"""An operation that has not been saved for this long was interrupted with its process."""
_MAX_COUNTED = 100_000
_SAVE_SECONDS = 1.0
_TTL_SECONDS = 24 * 3600

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkCount:
    """How many jobs an action would change."""

    changeable: int
    excluded: int
    """Jobs that match but can't be retried, because their audio is deleted."""
    is_exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkResult:
    """The result of an action."""

    done: int
    refused: tuple[tuple[str, str], ...]
    """Ids of jobs that did not change, and the reasons."""
    has_more: bool
    """Whether more jobs match than one request changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkActions:
    """Runs actions on jobs. Every method may raise Unavailable."""

    overview: Overview
    job_actions: JobActions
    store: DashboardStore

    def count(self, action: BulkAction, selection: JobSelection) -> BulkCount:
        """Count the jobs that an action would change. Stops at _MAX_COUNTED."""
        changeable = excluded = 0
        for job in islice(selection.jobs(action, self.overview), _MAX_COUNTED):
            if action is BulkAction.RETRY and not job.audio_available:
                excluded += 1
            else:
                changeable += 1
        is_exact = changeable + excluded < _MAX_COUNTED
        return BulkCount(changeable=changeable, excluded=excluded, is_exact=is_exact)

    def run(self, action: BulkAction, selection: JobSelection, *, user: AdminUser) -> BulkResult:
        """Change at most MAX_JOBS jobs. Raises Forbidden."""
        user.require_write()
        if selection.query is None:
            ids = list(selection.ids)
        else:
            ids = list(islice(self._ids(action, selection), MAX_JOBS + 1))
        done, refused = 0, []
        try:
            for job_id in ids[:MAX_JOBS]:
                reason = self._change(action, job_id)
                if reason is None:
                    done += 1
                else:
                    refused.append((job_id, reason))
        finally:
            record(self.overview.audit, user, action, str(selection), count=done)
        return BulkResult(done=done, refused=tuple(refused), has_more=len(ids) > MAX_JOBS)

    def start(self, action: BulkAction, selection: JobSelection, *, user: AdminUser) -> BulkOperation:
        """Change all selected jobs in a background thread. Raises Forbidden."""
        user.require_write()
        now = store_time()
        operation = BulkOperation(
            id=secrets.token_urlsafe(12),
            action=action,
            selection=str(selection),
            actor=user.actor,
            started_at=now,
            updated_at=now,
            total=self.count(action, selection).changeable,
        )
        self.store.save_operation(operation, ttl_seconds=_TTL_SECONDS)
        record(self.overview.audit, user, f"start {action}", str(selection), count=operation.total)
        threading.Thread(
            target=self._run_in_background, args=(operation, action, selection, user), daemon=True
        ).start()
        return operation

    def find(self, operation_id: str) -> BulkOperation:
        """The progress of an operation. Raises NotFound."""
        operation = self.store.find_operation(operation_id)
        if operation is None:
            raise NotFound("This operation does not exist. Its progress is kept for a day.")
        return operation

    def _run_in_background(
        self, operation: BulkOperation, action: BulkAction, selection: JobSelection, user: AdminUser
    ) -> None:
        try:
            ids = list(self._ids(action, selection))  # all first: changed jobs leave their index
            operation = self._change_all(replace(operation, total=len(ids)), action, ids)
        except KammertonError as error:
            operation = replace(operation, reason=error.message)
        finished = replace(operation, finished_at=store_time(), updated_at=store_time())
        try:
            self.store.save_operation(finished, ttl_seconds=_TTL_SECONDS)
            record(self.overview.audit, user, action, str(selection), count=finished.done)
        except Unavailable as error:
            _log.warning("bulk_operation_unsaved", operation=operation.id, reason=error.message)

    def _change_all(self, operation: BulkOperation, action: BulkAction, ids: Iterable[str]) -> BulkOperation:
        for job_id in ids:
            reason = self._change(action, job_id)
            if reason is None:
                operation = replace(operation, done=operation.done + 1)
            else:
                operation = replace(operation, refused=operation.refused + 1, reason=reason)
            if store_time() - operation.updated_at > _SAVE_SECONDS:
                operation = replace(operation, updated_at=store_time())
                self.store.save_operation(operation, ttl_seconds=_TTL_SECONDS)
        return operation

    def _change(self, action: BulkAction, job_id: str) -> str | None:
        """Change one job. Returns why it did not change, so that one failure doesn't end the rest."""
        change: Callable[[str], object] = {
            BulkAction.RETRY: self.job_actions.retry,
            BulkAction.CANCEL: self.job_actions.cancel,
            BulkAction.DELETE: self.job_actions.delete,
        }[action]
        try:
            change(job_id)
        except KammertonError as error:
            return error.message
        return None

    def _ids(self, action: BulkAction, selection: JobSelection) -> Iterable[str]:
        for job in selection.jobs(action, self.overview):
            if action is not BulkAction.RETRY or job.audio_available:
                yield job.id


ProvidedBulkActions = Annotated[BulkActions, provided(BulkActions)]

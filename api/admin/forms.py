"""The forms of the dashboard: each changes something, then redirects to a page that says what happened."""

from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Form, Path, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api.admin.auth.authentication import CurrentUser, ProvidedSessions
from api.admin.auth.flash import HOME, redirect_with_flash, safe_address
from api.admin.bulk_actions import FOREGROUND_JOBS, STALE_SECONDS, BulkResult, ProvidedBulkActions
from api.admin.job_filter import CurrentFilter, JobFilter
from api.admin.job_selection import BulkAction, JobSelection, select_jobs
from api.admin.operations import ProvidedOperations
from api.admin.rendering import CurrentRenderer
from shared.clock import store_time
from shared.ports.workers import WorkerCommand

_DONE = {BulkAction.RETRY: "queued again", BulkAction.CANCEL: "canceled", BulkAction.DELETE: "deleted"}

_CONSEQUENCES = {
    "drain": "It finishes its jobs and starts no others, until you resume it.",
    "restart": "It finishes its jobs first. Other workers go on.",
}


job_router = APIRouter(prefix="/admin", include_in_schema=False)
"""Retry, cancel and delete jobs, with a question before."""


@job_router.post("/confirm")
def confirm(
    bulk_actions: ProvidedBulkActions,
    sessions: ProvidedSessions,
    render: CurrentRenderer,
    user: CurrentUser,
    filter: CurrentFilter,
    action: Annotated[str, Form()],
    ids: Annotated[list[str] | None, Form()] = None,
    only: Annotated[str | None, Query(max_length=128)] = None,
    back: Annotated[str, Form()] = HOME,
) -> Response:
    """Ask before an action, and say how many jobs it changes. `action`: `retry` or `retry:all`.

    `only`: the job whose own button was pressed, whatever else is selected.
    """
    user.require_write()
    ids = [only] if only else ids
    name, _, all_matching = action.partition(":")
    if not all_matching and not ids:
        return redirect_with_flash(sessions, back, "Select jobs first.")
    selection = _selection(ids, filter, all_matching=bool(all_matching))
    return render(
        "confirm",
        action=BulkAction(name),
        selection=selection,
        count=bulk_actions.count(BulkAction(name), selection),
        all_matching=all_matching,
        filter=filter,
        back=safe_address(back),
    )


@job_router.post("/bulk-actions")
def run(
    bulk_actions: ProvidedBulkActions,
    sessions: ProvidedSessions,
    user: CurrentUser,
    filter: CurrentFilter,
    action: Annotated[BulkAction, Form()],
    ids: Annotated[list[str] | None, Form()] = None,
    all_matching: Annotated[str, Form()] = "",
    back: Annotated[str, Form()] = HOME,
) -> Response:
    """Run an action; one on many jobs runs in the background and has a page of its own."""
    selection = _selection(ids, filter, all_matching=bool(all_matching))
    if selection.query is not None and bulk_actions.count(action, selection).changeable > FOREGROUND_JOBS:
        operation = bulk_actions.start(action, selection, user=user)
        return RedirectResponse(f"/admin/operations/{operation.id}", status_code=303)
    result = bulk_actions.run(action, selection, user=user)
    deleted_this_page = action is BulkAction.DELETE and result.done and back.startswith("/admin/jobs/")
    address = "/admin/jobs" if deleted_this_page else back
    return redirect_with_flash(sessions, address, _sentence(action, result))


@job_router.get("/operations/{operation_id}")
def operation_page(
    bulk_actions: ProvidedBulkActions,
    render: CurrentRenderer,
    operation_id: Annotated[str, Path(max_length=64)],
) -> HTMLResponse:
    """The progress of an action that runs in the background."""
    operation = bulk_actions.find(operation_id)
    silent_seconds = store_time() - operation.updated_at
    is_interrupted = operation.finished_at is None and silent_seconds > STALE_SECONDS
    return render("operation", operation=operation, is_interrupted=is_interrupted)


operations_router = APIRouter(prefix="/admin", include_in_schema=False)
"""Pause queues, command workers, redeliver webhooks."""


@operations_router.post("/queues/{queue}")
def change_queue(
    operations: ProvidedOperations,
    sessions: ProvidedSessions,
    user: CurrentUser,
    queue: Annotated[str, Path(max_length=100)],
    action: Annotated[Literal["pause", "resume"], Form()],
) -> Response:
    """Pause or resume a queue."""
    if action == "pause":
        operations.pause(queue, user=user)
        return redirect_with_flash(sessions, HOME, f"The queue {queue} is paused.")
    operations.resume(queue, user=user)
    return redirect_with_flash(sessions, HOME, f"The queue {queue} is running again.")


@operations_router.get("/workers/{worker}/{command}")
def ask_to_command_worker(
    render: CurrentRenderer,
    user: CurrentUser,
    worker: Annotated[str, Path(max_length=200)],
    command: Literal["drain", "restart"],
) -> HTMLResponse:
    """Ask before a worker is drained or restarted."""
    user.require_write()
    return render(
        "question",
        question=f"{command.capitalize()} {worker}?",
        consequence=_CONSEQUENCES[command],
        address=f"/admin/workers/{quote(worker, safe='')}",
        action=command,
        label=f"Yes, {command} it",
        back=HOME,
    )


@operations_router.post("/workers/{worker}")
def command_worker(
    operations: ProvidedOperations,
    sessions: ProvidedSessions,
    user: CurrentUser,
    worker: Annotated[str, Path(max_length=200)],
    action: Annotated[Literal["drain", "restart", "resume"], Form()],
) -> Response:
    """Drain, restart, or resume a worker."""
    command = None if action == "resume" else WorkerCommand(action)
    operations.send_command(worker, command, user=user)
    sentence = f"Request sent to worker {worker}. It takes effect within a few seconds."
    return redirect_with_flash(sessions, HOME, sentence)


@operations_router.post("/dead/acknowledge")
def acknowledge_dead_jobs(
    operations: ProvidedOperations, sessions: ProvidedSessions, user: CurrentUser
) -> Response:
    """Hide the warning about dead jobs until there are more."""
    operations.acknowledge_dead_jobs(user=user)
    return redirect_with_flash(sessions, HOME, "The dead jobs are acknowledged. New ones warn again.")


@operations_router.post("/webhooks/{delivery_id}")
def redeliver(
    operations: ProvidedOperations,
    sessions: ProvidedSessions,
    user: CurrentUser,
    delivery_id: Annotated[str, Path(max_length=128)],
    back: Annotated[str, Form()] = HOME,
) -> Response:
    """Send a webhook again."""
    operations.redeliver(delivery_id, user=user)
    return redirect_with_flash(sessions, back, "The webhook is on its way again.")


def _selection(ids: list[str] | None, filter: JobFilter, *, all_matching: bool) -> JobSelection:
    if all_matching:
        return select_jobs([], filter.query(), filter.q)
    return select_jobs(ids or [], None, filter.q)


def _sentence(action: BulkAction, result: BulkResult) -> str:
    jobs = "1 job was" if result.done == 1 else f"{result.done:,} jobs were"
    sentence = f"{jobs} {_DONE[action]}."
    if result.refused:
        unchanged = "1 job was" if len(result.refused) == 1 else f"{len(result.refused):,} jobs were"
        sentence += f" {unchanged} not changed: {result.refused[0][1]}"
    if result.has_more:
        sentence += " More jobs match. Repeat the action for the rest."
    return sentence

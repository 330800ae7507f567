"""The login page of the dashboard, and logout."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import APIRouter, FastAPI, Form, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import URL

from api.access.authentication import client_address, subject_of
from api.admin.auth.authentication import LoginNeeded, ProvidedSessions, check_origin, shown_address
from api.admin.auth.flash import HOME, safe_address
from api.admin.auth.sessions import COOKIE, DEVICE_COOKIE, DEVICE_SECONDS, SESSION_SECONDS, Sessions
from api.admin.auth.throttle import LoginClient
from api.http.provided import provided
from api.http.root_path import route_path
from api.http.templating import page
from shared.clock import store_time
from shared.errors import LimitReached
from shared.observability.logs import get_logger
from shared.observability.metrics import LOGINS, increment
from shared.observability.recorder import MetricsBuffer
from shared.ports.admin import AuditEntry, AuditLog

_log = get_logger(__name__)

_MAX_AUDITED_FAILURES = 10
"""Of one client in a row: guesses by the thousand would push everything else out of the audit log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Login:
    """One form that was sent."""

    request: Request
    client: LoginClient
    password: str
    name: str


router = APIRouter(prefix="/admin", include_in_schema=False)


@router.get("/login")
def login_page(request: Request, sessions: ProvidedSessions, next: str = HOME) -> HTMLResponse:
    """The form."""
    return _login_page(request, next, needs_name=sessions.needs_name)


@router.post("/login")
async def log_in(
    request: Request,
    sessions: ProvidedSessions,
    audit: Annotated[AuditLog, provided(AuditLog)],
    metrics: Annotated[MetricsBuffer, provided(MetricsBuffer)],
    password: Annotated[str, Form(max_length=1000)],
    name: Annotated[str, Form(max_length=200)] = "",
    next: Annotated[str, Form(max_length=1000)] = HOME,
) -> Response:
    """Check the password, set the cookies, and go on to the page that was asked for."""
    check_origin(request)
    device = await run_in_threadpool(sessions.known_device, request.cookies.get(DEVICE_COOKIE))
    client = LoginClient(subject_of(None, client_address(request)), device)
    login = _Login(request=request, client=client, password=password, name=name)
    show_form = partial(_login_page, request, next, needs_name=sessions.needs_name)
    try:
        cookie = await _attempt(login, sessions, audit)
    except LimitReached as error:
        metrics.add(increment(LOGINS, "refused"))
        _log.warning("login_refused", client=client.name)
        refusal = show_form(error.message, status=429)
        refusal.headers["Retry-After"] = str(error.retry_after_seconds)
        return refusal
    if cookie is None:
        metrics.add(increment(LOGINS, "failed"))
        wrong = "The name or the password is wrong." if sessions.needs_name else "The password is wrong."
        return show_form(wrong, status=403)
    metrics.add(increment(LOGINS, "succeeded"))
    response = RedirectResponse(safe_address(next), status_code=303)
    _set_cookie(response, COOKIE, cookie, request, seconds=SESSION_SECONDS, path="/")
    known = request.cookies[DEVICE_COOKIE] if device else await run_in_threadpool(sessions.new_device)
    _set_cookie(response, DEVICE_COOKIE, known, request, seconds=DEVICE_SECONDS, path="/admin/login")
    return response


@router.post("/logout")
def log_out(request: Request) -> Response:
    """Delete the session cookie."""
    check_origin(request)
    response = RedirectResponse("/admin/login", status_code=303)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response


async def _attempt(login: _Login, sessions: Sessions, audit: AuditLog) -> str | None:
    """Return the cookie of a session; None for a wrong password, after a pause. Raises LimitReached."""
    address = shown_address(login.request)
    throttle = sessions.throttle
    async with throttle.checking(login.client):
        cookie = await run_in_threadpool(sessions.log_in, login.password, name=login.name)
        if cookie is None:
            failure = await run_in_threadpool(throttle.record_failure, login.client)
            if failure.count <= _MAX_AUDITED_FAILURES:
                await run_in_threadpool(_record, audit, "failed login", login.name, address)
            await throttle.pause(failure)
            return None
    await run_in_threadpool(_record, audit, "login", login.name, address)
    _log.info("login_succeeded", client=login.client.name)
    return cookie


def _set_cookie(
    response: Response, name: str, value: str, request: Request, *, seconds: int, path: str
) -> None:
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        path=path,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


def _record(audit: AuditLog, action: str, name: str, address: str) -> None:
    """The name is what the person typed: the audit log shows it in quotes."""
    who = f"“{name.strip()[:60]}”" if name.strip() else "no name"
    audit.add(AuditEntry(at=store_time(), who=who, address=address, act=action, what="dashboard", count=1))


def redirect_to_login(app: FastAPI) -> None:
    """Send people who are not logged in to the login page, and back afterwards."""

    @app.exception_handler(LoginNeeded)
    async def login_needed(request: Request, _: LoginNeeded) -> Response:
        login = URL("/admin/login")
        if request.method == "GET":
            query = f"?{request.url.query}" if request.url.query else ""
            login = login.include_query_params(next=route_path(request.scope) + query)
        return RedirectResponse(str(login), status_code=303)


def _login_page(
    request: Request, next: str, error: str = "", *, needs_name: bool, status: int = 200
) -> HTMLResponse:
    context = {"next": safe_address(next), "error": error, "needs_name": needs_name}
    return page(request, "admin/login.html", context, status=status)

"""The login page of the dashboard, and logout."""

from typing import Annotated

from fastapi import APIRouter, FastAPI, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import URL

from api.admin.auth.authentication import LoginNeeded, check_origin, shown_address
from api.admin.auth.flash import HOME, safe_address
from api.admin.auth.sessions import ATTEMPT_WINDOW_SECONDS, COOKIE, SESSION_SECONDS, Sessions
from api.http.templating import page
from shared.clock import store_time
from shared.ports.admin import AuditEntry, AuditLog


def login_router(sessions: Sessions, audit: AuditLog) -> APIRouter:
    """The login page and its form."""
    router = APIRouter(prefix="/admin", include_in_schema=False)

    @router.get("/login")
    def login_page(request: Request, next: str = HOME) -> HTMLResponse:
        return _login_page(request, next)

    @router.post("/login")
    def log_in(
        request: Request,
        password: Annotated[str, Form(max_length=1000)],
        name: Annotated[str, Form(max_length=200)] = "",
        next: Annotated[str, Form(max_length=1000)] = HOME,
    ) -> Response:
        check_origin(request)
        address = shown_address(request)
        if not sessions.allow_attempt(address):
            error = f"Too many attempts. Wait {ATTEMPT_WINDOW_SECONDS // 60} minutes, then try again."
            return _login_page(request, next, error, status=429)
        cookie = sessions.log_in(password, name=name, address=address)
        if cookie is None:
            _record(audit, "failed login", name, address)
            return _login_page(request, next, "The password is wrong.", status=403)
        _record(audit, "login", name, address)
        response = RedirectResponse(safe_address(next), status_code=303)
        response.set_cookie(
            COOKIE,
            cookie,
            max_age=SESSION_SECONDS,
            path="/",
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    @router.post("/logout")
    def log_out(request: Request) -> Response:
        check_origin(request)
        response = RedirectResponse("/admin/login", status_code=303)
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return response

    return router


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
            login = login.include_query_params(next=request.url.path + query)
        return RedirectResponse(str(login), status_code=303)


def _login_page(request: Request, next: str, error: str = "", *, status: int = 200) -> HTMLResponse:
    return page(request, "admin/login.html", {"next": safe_address(next), "error": error}, status=status)

"""Log in to the dashboard and out of it."""

import time
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI, Form, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import URL

from api.admin.authentication import LoginNeeded, check_origin
from api.admin.sessions import COOKIE, SESSION_SECONDS, TRIES_SECONDS, Sessions
from api.http.templating import page

HOME = "/admin"


def login_router(sessions: Sessions) -> APIRouter:
    """The login page, and what it sends."""
    router = APIRouter(prefix="/admin", include_in_schema=False)

    @router.get("/login")
    async def login_page(request: Request, next: str = HOME) -> HTMLResponse:
        return _login(request, next, "")

    @router.post("/login")
    async def login(
        request: Request,
        password: Annotated[str, Form(max_length=1000)],
        name: Annotated[str, Form(max_length=200)] = "",
        next: Annotated[str, Form(max_length=1000)] = HOME,
    ) -> Response:
        check_origin(request)
        address = request.client.host if request.client else "unknown"
        if not await run_in_threadpool(sessions.may_try, address):
            minutes = TRIES_SECONDS // 60
            wrong = f"Too many attempts; wait {minutes} minutes and try again."
            return _login(request, next, wrong, status=429)
        cookie = await run_in_threadpool(
            lambda: sessions.log_in(password, name=name, address=address, now=time.time())
        )
        if cookie is None:
            return _login(request, next, "This is not one of the passwords.", status=403)
        answer = RedirectResponse(inside(next), status_code=303)
        answer.set_cookie(
            COOKIE,
            cookie,
            max_age=SESSION_SECONDS,
            path="/",
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    @router.post("/logout")
    async def logout(request: Request) -> Response:
        check_origin(request)
        answer = RedirectResponse("/admin/login", status_code=303)
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return answer

    return router


def redirect_to_login(app: FastAPI) -> None:
    """Whoever must log in first comes back afterwards to where they wanted to go."""

    @app.exception_handler(LoginNeeded)
    async def login_needed(request: Request, _: LoginNeeded) -> Response:
        wanted = URL("/admin/login")
        if request.method == "GET":
            query = f"?{request.url.query}" if request.url.query else ""
            wanted = wanted.include_query_params(next=request.url.path + query)
        return RedirectResponse(str(wanted), status_code=303)


def inside(address: str) -> str:
    """An address within the dashboard: whoever writes a link must not send people elsewhere."""
    parts = urlsplit(address)
    inside = not parts.scheme and not parts.netloc and parts.path.split("/")[:2] == ["", "admin"]
    return address if inside and "\\" not in address else HOME


def _login(request: Request, next: str, wrong: str, *, status: int = 200) -> HTMLResponse:
    return page(request, "admin/login.html", {"next": inside(next), "wrong": wrong}, status=status)

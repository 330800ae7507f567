"""Branch of shared.errors → HTTP status and problem+json. The only file that knows both."""

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from api.http.schemas import ProblemView
from api.http.templating import page, wants_page
from shared import errors

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_SECONDS = 5

_STATUS: dict[type[errors.KammertonError], int] = {
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.LimitReached: 429,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.UnsupportedMedia: 415,
    errors.UploadStalled: 408,
    errors.IdempotencyKeyReused: 422,
    errors.InvalidItem: 422,
    errors.UnsupportedVersion: 412,
    errors.UploadAborted: 400,
    errors.Rejected: 400,
    errors.Unreachable: 502,
    errors.Unavailable: 503,
}


def problem(
    status: int, code: str, detail: str, headers: dict[str, str] | None = None, **more: int | None
) -> JSONResponse:
    """An answer as RFC 9457 has it. `more`: further fields of a ProblemView."""
    view = ProblemView(
        type=f"urn:kammerton:problem:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        code=code,
        detail=detail,
        **more,
    )
    if status == 503:
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS), **(headers or {})}
    if status == 401:
        headers = {"WWW-Authenticate": "Bearer", **(headers or {})}
    if status == 408:
        headers = {"Connection": "close", **(headers or {})}
    return JSONResponse(view.model_dump(exclude_none=True), status, headers, PROBLEM_JSON)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of problems that a route can answer with."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/ProblemView"}}},
        }
        for status in statuses
    }


def add_error_handlers(app: FastAPI) -> None:
    """Turn whatever is raised into a problem."""

    @app.exception_handler(errors.KammertonError)
    async def ours(request: Request, error: errors.KammertonError) -> Response:
        status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)
        more = {name: getattr(error, name, None) for name in ("limit_bytes", "item")}
        wait = (
            {"Retry-After": str(error.retry_after_seconds)}
            if isinstance(error, errors.LimitReached)
            else None
        )
        answer = problem(status, error.code, error.message, wait, **more)
        return _answer(request, answer, error.message)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
        detail = f"{where}: {first['msg']}."
        return _answer(request, problem(422, "invalid_parameter", detail), detail)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
        detail = (
            error.detail
            if error.detail != HTTPStatus(error.status_code).phrase
            else _HINTS.get(code, error.detail)
        )
        headers = dict(error.headers or {})
        if error.status_code == 405:
            allowed = _methods(request.app.routes, request.scope)
            if not allowed:
                return await http(request, HTTPException(404))
            headers["Allow"] = ", ".join(sorted(allowed))
        return _answer(request, problem(error.status_code, code, detail, headers), detail)


def _methods(routes: Iterable[BaseRoute], scope: Scope) -> set[str]:
    """All that this address takes; the router itself knows those of the first route that fits."""
    fits = [route for route in _each(routes) if route.matches(scope)[0] is not Match.NONE]
    fits = [route for route in fits if route.include_in_schema] or fits
    of_this = [route.methods or set() for route in fits if route.path == fits[0].path]
    return set[str]().union(*of_this)


def _each(routes: Iterable[BaseRoute]) -> Iterator[Route]:
    """Routes as deep as they are included, without those that take any address."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from _each(inner.routes)
        elif isinstance(route, Route) and not route.path.endswith(":path}"):
            yield route


def bug(request: Request) -> Response:
    """The answer to a request that met a mistake of ours."""
    detail = "Something went wrong on our side; it was logged."
    return _answer(request, problem(500, "internal", detail), detail)


def _answer(request: Request, answer: JSONResponse, detail: str) -> Response:
    """The problem itself, or a page that says the same to a person."""
    if not wants_page(request):
        answer.headers.update(getattr(request.state, "answer_headers", {}))
        return answer
    headline = _HEADLINES.get(answer.status_code, "That did not work")
    context = {"headline": headline, "detail": detail, "link": "/", "link_label": "Go to the start page"}
    told = page(request, "message.html", context, status=answer.status_code)
    if "retry-after" in answer.headers:
        told.headers["Retry-After"] = answer.headers["retry-after"]
    return told


_HEADLINES = {
    404: "There is nothing here",
    413: "This file is too large",
    415: "This is no sound file",
    429: "One moment, please",
    500: "Something broke on our side",
    503: "We are busy or away",
}
_HINTS = {
    "not_found": "There is nothing here; the API is described at /docs.",
    "method_not_allowed": "This address does not take that method; the API is described at /docs.",
}

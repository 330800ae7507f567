"""Map every error to an HTTP status and an `application/problem+json` body (RFC 9457)."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from api.http.routes import allowed_methods, with_implied_methods
from api.http.schemas import ProblemView
from api.http.templating import page, wants_page
from shared import errors
from shared.root_path import public_path

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
    errors.ChecksumMismatch: 460,
    errors.UploadAborted: 400,
    errors.AddressUnresolved: 422,
    errors.Rejected: 400,
    errors.NotConfigured: 501,
    errors.Unreachable: 502,
    errors.Unavailable: 503,
}

_PHRASES = {460: "Checksum Mismatch"}
"""Of statuses that only tus defines."""


def problem(
    status: int, code: str, detail: str, headers: dict[str, str] | None = None, **extensions: int | None
) -> JSONResponse:
    """A problem response (RFC 9457). `extensions`: further fields of ProblemView."""
    view = ProblemView(
        type=f"urn:kammerton:problem:{code}",
        title=_PHRASES.get(status) or HTTPStatus(status).phrase,
        status=status,
        code=code,
        detail=detail,
        **extensions,
    )
    if status == 503:
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS), **(headers or {})}
    if status == 401:
        headers = {"WWW-Authenticate": "Bearer", **(headers or {})}
    if status == 408:
        headers = {"Connection": "close", **(headers or {})}
    return JSONResponse(view.model_dump(exclude_none=True), status, headers, PROBLEM_JSON)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of the problems that a route responds with."""
    return {
        status: {
            "description": _PHRASES.get(status) or HTTPStatus(status).phrase,
            "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/ProblemView"}}},
        }
        for status in statuses
    }


def add_error_handlers(app: FastAPI) -> None:
    """Respond to every exception with a problem."""

    @app.exception_handler(errors.KammertonError)
    async def handle_kammerton_error(request: Request, error: errors.KammertonError) -> Response:
        status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)
        extensions = {name: getattr(error, name, None) for name in ("limit_bytes", "item")}
        headers = (
            {"Retry-After": str(error.retry_after_seconds)}
            if isinstance(error, errors.LimitReached | errors.QueueFull)
            else None
        )
        response = problem(status, error.code, error.message, headers, **extensions)
        return _respond(request, response, error.message)

    @app.exception_handler(RequestValidationError)
    async def handle_validation_error(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        location = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
        detail = f"{location}: {first['msg']}."
        return _respond(request, problem(422, "invalid_parameter", detail), detail)

    @app.exception_handler(HTTPException)
    async def handle_http_exception(request: Request, error: HTTPException) -> Response:
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
        detail = (
            error.detail
            if error.detail != HTTPStatus(error.status_code).phrase
            else _HINTS.get(code, error.detail).replace("{docs}", public_path("/docs"))
        )
        headers = dict(error.headers or {})
        if error.status_code == 405:
            allowed = allowed_methods(request.app.routes, request.scope)
            if not allowed:
                return await handle_http_exception(request, HTTPException(404))
            headers["Allow"] = ", ".join(sorted(with_implied_methods(allowed)))
        return _respond(request, problem(error.status_code, code, detail, headers), detail)


def internal_error(request: Request) -> Response:
    """The response to a request that raised an unexpected exception."""
    detail = "An internal error occurred. It has been logged."
    return _respond(request, problem(500, "internal", detail), detail)


def _respond(request: Request, response: JSONResponse, detail: str) -> Response:
    """The problem, or for a browser a page that says the same."""
    if not wants_page(request):
        return response
    headline = _HEADLINES.get(response.status_code, "That did not work")
    context = {"headline": headline, "detail": detail, "link": "/", "link_label": "Go to the start page"}
    html = page(request, "message.html", context, status=response.status_code)
    if "retry-after" in response.headers:
        html.headers["Retry-After"] = response.headers["retry-after"]
    return html


_HEADLINES = {
    404: "Page not found",
    413: "This file is too large",
    415: "Unsupported audio format",
    429: "Too many requests",
    500: "Internal error",
    503: "The service is busy or unavailable",
}
_HINTS = {
    "not_found": "This address does not exist. See {docs} for the API.",
    "method_not_allowed": "This address does not support that method. See {docs} for the API.",
}

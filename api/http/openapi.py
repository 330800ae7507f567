"""Complete the OpenAPI document: the problem schema, and the responses that many routes share."""

from typing import Any

from fastapi import FastAPI

from api.http.problems import documented
from api.http.schemas import ProblemView

_GUARDED = (401, 403, 429, 503)
"""Responses of every route that authenticates the caller."""
_WITH_BODY = (400, 408, 413, 422)
"""Responses of every route that reads a body."""


def complete_openapi(app: FastAPI, *, anonymous: bool) -> None:
    """Complete the OpenAPI document when it is generated."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document["components"]["schemas"]
        schemas["ProblemView"] = ProblemView.model_json_schema()
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for path in document["paths"].values():
            for operation in path.values():
                if "requestBody" in operation:
                    _add_responses(operation, *_WITH_BODY)
                if "security" in operation:
                    _describe_security(operation, anonymous=anonymous)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI documents it


def _add_responses(operation: dict[str, Any], *statuses: int) -> None:
    for status, response in documented(*statuses).items():
        operation["responses"].setdefault(str(status), response)


def _describe_security(operation: dict[str, Any], *, anonymous: bool) -> None:
    _add_responses(operation, *_GUARDED)
    if anonymous and {} not in operation["security"]:
        operation["security"] = [*operation["security"], {}]  # the key is optional

"""What FastAPI can't know of the document: the problem schema, and what every guarded route may answer."""

from typing import Any

from fastapi import FastAPI

from api.http.problems import documented
from api.http.schemas import ProblemView

_GUARDED = (401, 403, 429, 503)
"""Answers of every route that asks who is calling."""
_WITH_BODY = (400, 408, 413, 422)
"""Answers of every route that reads a body."""


def describe(app: FastAPI, *, anonymous: bool) -> None:
    """Complete the OpenAPI document whenever it is made."""
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
                    _answer(operation, *_WITH_BODY)
                if "security" in operation:
                    _guard(operation, anonymous=anonymous)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend the document


def _answer(operation: dict[str, Any], *statuses: int) -> None:
    for status, answer in documented(*statuses).items():
        operation["responses"].setdefault(str(status), answer)


def _guard(operation: dict[str, Any], *, anonymous: bool) -> None:
    _answer(operation, *_GUARDED)
    if anonymous and {} not in operation["security"]:
        operation["security"] = [*operation["security"], {}]  # OpenAPI's way to say that a key is optional

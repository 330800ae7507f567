"""What FastAPI can't know of the document: the problem schema, and what every guarded route may answer."""

from typing import Any

from fastapi import FastAPI

from api.errors import documented
from api.schemas import ProblemView

_GUARDED = (401, 403, 429, 503)
"""Answers of every route that asks who is calling."""


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
                if "security" in operation:
                    _guard(operation, anonymous=anonymous)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend the document


def _guard(operation: dict[str, Any], *, anonymous: bool) -> None:
    for status, answer in documented(*_GUARDED).items():
        operation["responses"].setdefault(str(status), answer)
    if anonymous and {} not in operation["security"]:
        operation["security"] = [*operation["security"], {}]  # OpenAPI's way to say that a key is optional

"""Complete the OpenAPI document: the problem schema, and the responses that many routes share."""

import re
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.http.problems import documented
from api.http.schemas import ProblemView
from shared.root_path import root_path

_GUARDED = (401, 403, 429, 503)
"""Responses of every route that authenticates the caller."""
_WITH_BODY = (400, 408, 413, 422)
"""Responses of every route that reads a body."""

DESCRIPTION: dict[str, Any] = {
    "description": "Send a recording, and get the reference pitch that it is tuned to: 440 Hz, 432 Hz, "
    "or another. Errors are `application/problem+json` (RFC 9457).",
    "contact": {"name": "Kammerton"},
    "license_info": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    "openapi_tags": [
        {"name": "jobs", "description": "Create a job from a recording, and get its report."},
        {"name": "uploads", "description": "Upload a file straight to storage with presigned requests."},
        {"name": "tus", "description": "Resumable uploads with tus 1.0. Use a tus client."},
        {"name": "batches", "description": "Many recordings with one status and one webhook."},
        {"name": "webhooks", "description": "Get the events of your jobs, signed as Standard Webhooks."},
        {"name": "dashboard", "description": "For operators."},
        {"name": "health", "description": "For load balancers and monitoring."},
    ],
}
"""For FastAPI(...)."""
_ADMIN_PREFIX = "/admin/"


def operation_id(route: APIRoute) -> str:
    """Return the operationId: the handler's name in camel case, with `admin` in front for the dashboard."""
    name = f"admin_{route.name}" if route.path_format.startswith(_ADMIN_PREFIX) else route.name
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """Return the requestBody of a route that reads its JSON itself. `complete_openapi` adds the schema."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def complete_openapi(app: FastAPI, *, anonymous: bool, bodies: Sequence[type[BaseModel]] = ()) -> None:
    """Complete the OpenAPI document when it is generated. *bodies*: the models of `json_body`."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        document["servers"] = [{"url": root_path() or "/", "description": "This server"}]
        schemas = document["components"]["schemas"]
        schemas["ProblemView"] = ProblemView.model_json_schema()
        _, models = models_json_schema(
            [(model, "validation") for model in bodies], ref_template="#/components/schemas/{model}"
        )
        schemas.update(models.get("$defs", {}))
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

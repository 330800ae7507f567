"""/docs: the API as a page, drawn from its OpenAPI document. Loads nothing from elsewhere."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from api.http.templating import origin, page

_METHODS = ("get", "post", "put", "patch", "delete", "head", "options")
_OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """Something that a caller can send in addition to the body."""

    name: str
    place: str
    kind: str
    required: bool
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """One form that a request's content may have."""

    media_types: tuple[str, ...]
    description: str
    fields: tuple[Parameter, ...]
    """None, where the content is no object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one address."""

    anchor: str
    method: str
    path: str
    summary: str
    description: str
    parameters: tuple[Parameter, ...]
    bodies: tuple[Body, ...]
    """Of which a caller chooses one."""
    answers: tuple[tuple[str, str], ...]
    example: str | None
    """What a right answer looks like, as JSON."""
    guarded: bool


def reference_router() -> APIRouter:
    """The one page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def docs(request: Request) -> HTMLResponse:
        document = request.app.openapi()
        groups: dict[str, list[Operation]] = {}
        for tag, operation in _operations(document):
            groups.setdefault(tag, []).append(operation)
        return page(
            request, "docs.html", {"groups": groups, "info": document["info"], "origin": origin(request)}
        )

    return router


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, Operation]]:
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method not in item:
                continue
            found = item[method]
            content = _resolved(document, found.get("requestBody", {})).get("content", {})
            yield (
                (found.get("tags") or [_OTHER])[0],
                Operation(
                    anchor=found.get("operationId", f"{method}{path}"),
                    method=method.upper(),
                    path=path,
                    summary=found.get("summary", ""),
                    description=found.get("description", ""),
                    parameters=tuple(
                        _parameter(document, one)
                        for one in found.get("parameters", item.get("parameters", []))
                    ),
                    bodies=tuple(_bodies(document, content)),
                    answers=tuple(
                        (status, _resolved(document, answer).get("description", ""))
                        for status, answer in found.get("responses", {}).items()
                    ),
                    example=_example(document, found.get("responses", {})),
                    guarded="security" in found,
                ),
            )


def _parameter(document: Mapping[str, Any], given: Mapping[str, Any]) -> Parameter:
    found = _resolved(document, given)
    schema = _resolved(document, found.get("schema", {}))
    return Parameter(
        name=found["name"],
        place=found["in"],
        kind=_kind(document, schema),
        required=bool(found.get("required")),
        description=found.get("description") or schema.get("description", ""),
    )


def _bodies(document: Mapping[str, Any], content: Mapping[str, Any]) -> Iterator[Body]:
    """Media types with the same schema are one."""
    schemas = [_resolved(document, body.get("schema", {})) for body in content.values()]
    for number, schema in enumerate(schemas):
        if schema in schemas[:number]:
            continue
        yield Body(
            media_types=tuple(name for name, one in zip(content, schemas, strict=True) if one == schema),
            description="" if "properties" in schema else schema.get("description", "The bytes themselves."),
            fields=tuple(_fields(document, schema)),
        )


def _fields(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Parameter]:
    for name, given in schema.get("properties", {}).items():
        one = _resolved(document, given)
        yield Parameter(
            name=name,
            place="body",
            kind=_kind(document, one),
            required=name in schema.get("required", []),
            description=given.get("description") or one.get("description", ""),
        )


def _kind(document: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """A schema in a word or two."""
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        kinds = [_kind(document, _resolved(document, one)) for one in choices]
        return " | ".join(kind for kind in kinds if kind != "null")
    if schema.get("type") == "array":
        return f"list of {_kind(document, _resolved(document, schema.get('items', {})))}"
    return str(schema.get("format") or schema.get("type", "any"))


def _example(document: Mapping[str, Any], answers: Mapping[str, Any]) -> str | None:
    for status, answer in answers.items():
        schema = _resolved(document, answer).get("content", {}).get("application/json", {}).get("schema")
        if status.startswith("2") and schema:
            made = _made(document, schema, depth=0)
            return json.dumps(made, indent=2, ensure_ascii=False) if isinstance(made, dict | list) else None
    return None


def _made(document: Mapping[str, Any], given: Mapping[str, Any], *, depth: int) -> Any:
    """A value that fits a schema, from its examples where there are some."""
    schema = _resolved(document, given)
    if given.get("examples") or schema.get("examples"):
        return (given.get("examples") or schema["examples"])[0]
    if depth > 6:
        return None
    if "properties" in schema:
        return {name: _made(document, one, depth=depth + 1) for name, one in schema["properties"].items()}
    choices = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if choices:
        return _made(document, choices[0], depth=depth + 1)
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "array":
        return [_made(document, schema.get("items", {}), depth=depth + 1)]
    return {"string": "…", "integer": 1, "number": 0.5, "boolean": False, "object": {}}.get(
        schema.get("type", "")
    )


def _resolved(document: Mapping[str, Any], given: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference stands for."""
    reference = given.get("$ref")
    if reference is None:
        return given
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return _resolved(document, found)

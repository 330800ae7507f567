"""The API reference at /docs, drawn by Scalar from the OpenAPI document, and the guides at /docs/…."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse

from api.http.templating import POLICY, page
from api.web.guides import GUIDES, read_guide
from shared.errors import NotFound

REFERENCE_POLICY = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'").replace(
    "img-src 'self'", "img-src 'self' data:"
)
"""Scalar sets styles from its script. Scripts and connections are as strict as on every other page."""


def docs_router() -> APIRouter:
    """The documentation."""
    router = APIRouter(prefix="/docs", include_in_schema=False)

    @router.get("")
    def reference_page(request: Request) -> HTMLResponse:
        response = page(request, "reference.html", {"guides": GUIDES, "stylesheet": "reference.css"})
        response.headers["Content-Security-Policy"] = REFERENCE_POLICY
        return response

    @router.get("/{name}")
    def guide_page(request: Request, name: Annotated[str, Path(max_length=60)]) -> HTMLResponse:
        try:
            guide = read_guide(name)
        except NotFound:
            message = {
                "headline": "This page does not exist",
                "detail": "The documentation has no page with this address.",
                "link": "/docs/quickstart",
                "link_label": "Go to the quick start",
            }
            return page(request, "message.html", message, status=404)
        return page(request, "guide.html", {"guides": GUIDES, "guide": guide, "name": name})

    return router

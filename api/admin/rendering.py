"""Renders a page of the dashboard."""

from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from api.admin.auth.authentication import AdminUser
from api.admin.auth.flash import clear_flash, read_flash
from api.admin.auth.sessions import Sessions
from api.http.templating import page


def show(
    sessions: Sessions, request: Request, template: str, user: AdminUser, **context: Any
) -> HTMLResponse:
    """A page of the dashboard, with the flash message that waits for it."""
    flash = read_flash(sessions, request)
    response = page(request, f"admin/{template}.html", {"user": user, "flash": flash} | context)
    if flash:
        clear_flash(response)
    return response

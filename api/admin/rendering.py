"""Renders a page of the dashboard."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse

from api.admin.auth.authentication import AdminUser, CurrentUser, ProvidedSessions
from api.admin.auth.flash import FLASH
from api.admin.auth.sessions import Sessions
from api.http.templating import page


@dataclass(frozen=True, slots=True)
class Renderer:
    """Renders pages of the dashboard for one user."""

    request: Request
    user: AdminUser
    sessions: Sessions

    def __call__(self, template: str, **context: Any) -> HTMLResponse:
        """A page, with the flash message that waits for it."""
        flash = FLASH.read(self.request, sessions=self.sessions)
        response = page(self.request, f"admin/{template}.html", {"user": self.user, "flash": flash} | context)
        if flash:
            FLASH.delete(response)
        return response


async def _renderer(request: Request, user: CurrentUser, sessions: ProvidedSessions) -> Renderer:
    return Renderer(request, user, sessions)


CurrentRenderer = Annotated[Renderer, Depends(_renderer)]

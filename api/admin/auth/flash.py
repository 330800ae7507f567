"""Flash messages: one sentence for the next page of the dashboard."""

from urllib.parse import urlsplit

from fastapi.responses import RedirectResponse, Response

from api.admin.auth.sessions import Sessions
from api.admin.auth.signed_cookie import SignedCookie

HOME = "/admin"
FLASH = SignedCookie(name="kammerton_flash", purpose="kammerton.flash", path=HOME, seconds=60)


def redirect_with_flash(sessions: Sessions, address: str, sentence: str) -> Response:
    """Redirect to a page of the dashboard, which shows the sentence once."""
    response = RedirectResponse(safe_address(address), status_code=303)
    FLASH.set(response, sentence, sessions=sessions)
    return response


def safe_address(address: str) -> str:
    """The address if it is a page of the dashboard, else the dashboard's start page (open redirects)."""
    parts = urlsplit(address)
    is_inside = not parts.scheme and not parts.netloc and parts.path.split("/")[:2] == ["", "admin"]
    return address if is_inside and "\\" not in address else HOME

"""Flash messages: one sentence for the next page, in a signed cookie, so that no link can make it up."""

from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from api.admin.auth.sessions import Sessions

COOKIE = "kammerton_flash"
HOME = "/admin"
_PURPOSE = "kammerton.flash"
_SECONDS = 60


def redirect_with_flash(sessions: Sessions, address: str, sentence: str) -> Response:
    """Redirect to a page of the dashboard, which shows the sentence once."""
    response = RedirectResponse(safe_address(address), status_code=303)
    response.set_cookie(
        COOKIE,
        sessions.sign(sentence, purpose=_PURPOSE),
        max_age=_SECONDS,
        path=HOME,
        httponly=True,
        samesite="strict",
    )
    return response


def read_flash(sessions: Sessions, request: Request) -> str:
    """The sentence for this page; empty if there is none."""
    cookie = request.cookies.get(COOKIE, "")
    if not cookie:
        return ""
    return sessions.verify(cookie, purpose=_PURPOSE, max_age_seconds=_SECONDS) or ""


def clear_flash(response: Response) -> None:
    """Delete the cookie after its sentence was shown."""
    response.delete_cookie(COOKIE, path=HOME, httponly=True, samesite="strict")


def safe_address(address: str) -> str:
    """The address if it is a page of the dashboard, else the dashboard's start page (open redirects)."""
    parts = urlsplit(address)
    is_inside = not parts.scheme and not parts.netloc and parts.path.split("/")[:2] == ["", "admin"]
    return address if is_inside and "\\" not in address else HOME

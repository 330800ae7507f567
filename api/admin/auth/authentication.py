"""Authenticates dashboard users: people with a session, programs with an API key of an admin scope.

A session cookie alone changes nothing: the request must also come from one of our own pages, which
Sec-Fetch-Site tells, or Origin where a browser does not send it (CSRF).
"""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from api.access.authentication import Caller, client_address, identify
from api.admin.auth.sessions import COOKIE, Session, Sessions
from api.http.provided import provided
from api.http.templating import wants_page
from shared.domain.api_key import Scope
from shared.errors import Forbidden, Unauthenticated

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class LoginNeeded(Unauthenticated):
    """Raised when a person has to log in first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminUser:
    """A user of the dashboard."""

    name: str
    """Shown in the audit log."""
    role: str
    address: str
    caller: Caller
    has_session: bool

    @property
    def can_write(self) -> bool:
        """Whether the user may change anything."""
        return Scope.ADMIN_WRITE in self.caller.scopes

    def require_write(self) -> None:
        """Raise Forbidden for users who may only look."""
        if not self.can_write:
            raise Forbidden("Viewers can't change anything. Log in as operator.")

    @property
    def actor(self) -> str:
        """Role and name."""
        return self.name if self.name == self.role else f"{self.role} {self.name}"


ProvidedSessions = Annotated[Sessions, provided(Sessions)]


async def authenticate(request: Request, sessions: ProvidedSessions) -> AdminUser:
    """The dependency of all routes of the dashboard.

    Raises LoginNeeded, Unauthenticated, Forbidden, Unavailable.
    """
    has_key = "authorization" in request.headers
    cookie = request.cookies.get(COOKIE)
    if cookie is not None and not has_key:
        session = await run_in_threadpool(sessions.read, cookie)
        if session is not None:
            return _user_with_session(request, session)
    if not has_key:
        if wants_page(request):
            raise LoginNeeded("Log in first.")
        raise Unauthenticated("Log in, or send an API key with the scope admin:read.")
    caller = await identify(request)
    caller.require(Scope.ADMIN_READ)
    name = f"key {caller.key_id}"
    return AdminUser(name=name, role="key", address=shown_address(request), caller=caller, has_session=False)


CurrentUser = Annotated[AdminUser, Depends(authenticate)]


def _user_with_session(request: Request, session: Session) -> AdminUser:
    if request.method not in _SAFE_METHODS:
        check_origin(request)
    request.state.caller = session.caller
    return AdminUser(
        name=session.name,
        role=session.role,
        address=shown_address(request),
        caller=session.caller,
        has_session=True,
    )


def shown_address(request: Request) -> str:
    """The address of the client for people."""
    return client_address(request) or "unknown"


def check_origin(request: Request) -> None:
    """Raise Forbidden unless one of our own pages sent the request."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        is_own_page = site == "same-origin"
    else:
        is_own_page = urlsplit(request.headers.get("origin", "")).netloc == request.headers.get("host")
    if not is_own_page:
        raise Forbidden("This request did not come from the dashboard. Open the dashboard and try again.")

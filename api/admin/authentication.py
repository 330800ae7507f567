"""Who is at the dashboard: a person with a session, or a program with an API key of an admin scope.

What a person's browser sends by itself, the cookie, counts for an act only if the page that sent it was
ours: by Sec-Fetch-Site, or by Origin where a browser does not know the former.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from api.access.authentication import Caller, identify
from api.admin.sessions import COOKIE, Sessions
from api.http.templating import wants_page
from shared.domain.api_key import Scope
from shared.errors import Forbidden, Unauthenticated

_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class LoginNeeded(Unauthenticated):
    """Raised when a person should be led to the login page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminUser:
    """Somebody at the dashboard."""

    name: str
    """For the audit log."""
    role: str
    address: str
    caller: Caller
    has_session: bool

    @property
    def may_act(self) -> bool:
        """Whether they may change anything."""
        return Scope.ADMIN_WRITE in self.caller.scopes

    def require_act(self) -> None:
        """Raise Forbidden for those who may only look."""
        if not self.may_act:
            raise Forbidden("You may look at everything here, but change nothing: log in as operator.")

    @property
    def who(self) -> str:
        """Role and name."""
        return self.name if self.name == self.role else f"{self.role} {self.name}"


Recognize = Callable[[Request], Awaitable[AdminUser]]


def admin_user_dependency(sessions: Sessions) -> Recognize:
    """The dependency of all routes of the dashboard."""

    async def recognize(request: Request) -> AdminUser:
        """Raises LoginNeeded, Unauthenticated, Forbidden, Unavailable."""
        address = request.client.host if request.client else "unknown"
        session = None
        if "authorization" not in request.headers:
            cookie = request.cookies.get(COOKIE)
            if cookie is not None:
                session = await run_in_threadpool(sessions.read, cookie, now=time.time())
        if session is not None:
            if request.method not in _READING:
                check_origin(request)
            request.state.caller = session.caller
            return AdminUser(
                name=session.name,
                role=session.role,
                address=address,
                caller=session.caller,
                has_session=True,
            )
        if "authorization" not in request.headers:
            if wants_page(request):
                raise LoginNeeded("Log in first.")
            raise Unauthenticated("Log in, or send an API key with the scope admin:read.")
        caller = await identify(request)
        caller.require(Scope.ADMIN_READ)
        return AdminUser(
            name=f"key {caller.key_id}", role="key", address=address, caller=caller, has_session=False
        )

    return recognize


def check_origin(request: Request) -> None:
    """Raise Forbidden unless a page of ours sent this."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        ours = site == "same-origin"
    else:
        ours = urlsplit(request.headers.get("origin", "")).netloc == request.headers.get("host")
    if not ours:
        raise Forbidden("This was not sent by a page of the dashboard; open it and try again there.")

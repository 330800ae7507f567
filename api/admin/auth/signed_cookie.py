"""Short-lived cookies with a text for the next page, signed, so that no link can make it up."""

from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import Response

from api.admin.auth.sessions import Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCookie:
    """One such cookie of the pages below a path."""

    name: str
    purpose: str
    """A signature for one purpose is wrong for all others."""
    path: str
    seconds: int

    def set(self, response: Response, text: str, *, sessions: Sessions) -> None:
        """Send the text with a response."""
        response.set_cookie(
            self.name,
            sessions.sign(text, purpose=self.purpose),
            max_age=self.seconds,
            path=self.path,
            httponly=True,
            samesite="strict",
        )

    def read(self, request: Request, *, sessions: Sessions) -> str:
        """The text of a request; empty if there is none, or a forged or an old one."""
        cookie = request.cookies.get(self.name, "")
        if not cookie:
            return ""
        return sessions.verify(cookie, purpose=self.purpose, max_age_seconds=self.seconds) or ""

    def delete(self, response: Response) -> None:
        """Delete the cookie after its text was shown."""
        response.delete_cookie(self.name, path=self.path, httponly=True, samesite="strict")

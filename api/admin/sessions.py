"""Who is logged in to the dashboard: passwords, the signed cookie, and a limit on guessing.

No session is kept anywhere: the cookie says role, name and end, and is signed with a key that all API
processes share and that changes with the password. Without a configured operator's password, one is made
and printed when the first process ever starts; Redis keeps its hash alone.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import sys
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from api.access.authentication import Caller
from shared.domain.api_key import Scope
from shared.ports.admin import SecretStore

COOKIE = "kammerton_session"
SESSION_SECONDS = 12 * 3600
TRIES = 10
"""From one address, and ten times as many from all together, before everybody must wait."""
TRIES_SECONDS = 300
_LONGEST_NAME = 60


class Role(StrEnum):
    """What somebody may do here."""

    VIEWER = "viewer"
    OPERATOR = "operator"


SCOPES = {
    Role.VIEWER: frozenset({Scope.ADMIN_READ}),
    Role.OPERATOR: frozenset({Scope.ADMIN_READ, Scope.ADMIN_WRITE}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Somebody who is logged in."""

    role: Role
    name: str
    until: float

    @property
    def caller(self) -> Caller:
        """The same as other parts of the API know them."""
        return Caller(key_id=None, scopes=SCOPES[self.role])


class Sessions:
    """Log in, and be recognized afterwards. Blocking."""

    def __init__(
        self,
        vault: SecretStore,
        *,
        operator_password: str | None,
        viewer_password: str | None,
        announce: Callable[[str], object] = sys.stderr.write,
    ) -> None:
        self._vault = vault
        self._announce = announce
        self._given = {Role.OPERATOR: operator_password, Role.VIEWER: viewer_password}
        self._key: bytes | None = None
        self._made: str | None = None

    def prepare(self) -> None:
        """Make what is missing. Raises Unavailable."""
        self._made_hash()
        self._signing_key()

    def may_try(self, address: str) -> bool:
        """Count one attempt to log in; False where there were too many."""
        everybody = self._vault.count_attempt("login", window_seconds=TRIES_SECONDS)
        here = self._vault.count_attempt(f"login:{address}", window_seconds=TRIES_SECONDS)
        return here <= TRIES and everybody <= 10 * TRIES

    def log_in(self, password: str, *, name: str, address: str, now: float) -> str | None:
        """The cookie for a right password, whose owner's failed attempts are forgiven; else None."""
        role = self._role_of(password)
        if role is None:
            return None
        self._vault.reset_attempts(f"login:{address}")
        shown = "".join(char for char in name if unicodedata.category(char)[0] != "C").strip()
        content = {"role": role, "name": shown[:_LONGEST_NAME] or role, "until": now + SESSION_SECONDS}
        packed = base64.urlsafe_b64encode(json.dumps(content).encode()).decode()
        return f"{packed}.{self._sign(packed, role)}"

    def read(self, cookie: str | None, *, now: float) -> Session | None:
        """Who holds this cookie; None if it is not ours, or over."""
        packed, _, signature = (cookie or "").partition(".")
        try:
            content = json.loads(base64.urlsafe_b64decode(packed))
            session = Session(
                role=Role(content["role"]), name=str(content["name"]), until=float(content["until"])
            )
        except (ValueError, KeyError, TypeError, binascii.Error):
            return None
        right = hmac.compare_digest(signature.encode(), self._sign(packed, session.role).encode())
        return session if right and session.until > now else None

    def _role_of(self, password: str) -> Role | None:
        found = None
        for role, given in self._given.items():
            if given is not None and hmac.compare_digest(given.encode(), password.encode()):
                found = found or role
        if self._given[Role.OPERATOR] is None and _is(password, self._made_hash()):
            found = found or Role.OPERATOR
        return found

    def _sign(self, text: str, role: Role) -> str:
        password = self._given[role] or self._made_hash()
        key = hmac.digest(self._signing_key(), f"{role}:{password}".encode(), "sha256")
        return hmac.new(key, text.encode(), "sha256").hexdigest()

    def _signing_key(self) -> bytes:
        if self._key is None:
            self._key = self._vault.get_or_create("session-key", secrets.token_hex(32)).encode()
        return self._key

    def _made_hash(self) -> str:
        """The hash of the password that was made, made now if need be; empty where one is configured."""
        if self._given[Role.OPERATOR] is not None:
            return ""
        if self._made is None:
            password = secrets.token_urlsafe(12)
            mine = _hash(password, secrets.token_hex(16))
            self._made = self._vault.get_or_create("operator-password", mine)
            if self._made == mine:
                self._announce(
                    f"kammerton: the password of the dashboard's operator is {password} "
                    "(shown only this once; KAMMERTON_ADMIN_PASSWORD sets another).\n"
                )
        return self._made


def _hash(password: str, salt: str) -> str:
    return f"{salt}:{hashlib.scrypt(password.encode(), salt=salt.encode(), n=2**14, r=8, p=1).hex()}"


def _is(password: str, hashed: str) -> bool:
    return hmac.compare_digest(_hash(password, hashed.partition(":")[0]), hashed)

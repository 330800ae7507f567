"""Dashboard sessions: a signed cookie, and another one that tells known devices.

The server keeps no session. The cookie holds the user's name; itsdangerous signs and expires it with a
key that all API processes share and that changes with the password of the role.
"""

import asyncio
import hashlib
import secrets
import sys
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from itsdangerous import BadData, URLSafeTimedSerializer

from api.access.authentication import Caller
from api.admin.auth.passwords import SCOPES, Passwords, Role
from api.admin.auth.throttle import LoginThrottle, Sleep
from shared.ports.admin import SecretStore

COOKIE = "kammerton_session"
SESSION_SECONDS = 12 * 3600
DEVICE_COOKIE = "kammerton_device"
DEVICE_SECONDS = 90 * 24 * 3600
_DEVICE_PURPOSE = "kammerton.device"
_MAX_NAME_LENGTH = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A logged-in user."""

    role: Role
    name: str

    @property
    def caller(self) -> Caller:
        """The user as the rest of the API sees them."""
        return Caller(key_id=None, scopes=SCOPES[self.role])


class Sessions:
    """Logs users in and reads their cookies. Blocking. Every method may raise Unavailable."""

    def __init__(
        self,
        store: SecretStore,
        *,
        operator_password: str | None,
        viewer_password: str | None,
        operators: Mapping[str, str] = MappingProxyType({}),
        announce: Callable[[str], object] = sys.stderr.write,
        session_seconds: int = SESSION_SECONDS,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._store = store
        self.throttle = LoginThrottle(store, sleep=sleep)
        self._passwords = Passwords(
            store,
            operator=operator_password,
            viewer=viewer_password,
            accounts=operators,
            announce=announce,
        )
        self.needs_name = self._passwords.needs_name
        self._session_seconds = session_seconds
        self._key: str | None = None

    def prepare(self) -> None:
        """Generate the secrets that are missing."""
        self._passwords.generated_hash()
        self.secret_key()

    def log_in(self, password: str, *, name: str) -> str | None:
        """The cookie for a correct password, None for a wrong one."""
        role = self._passwords.role_of(password, name=name)
        if role is None:
            return None
        printable = "".join(char for char in name if unicodedata.category(char)[0] != "C").strip()
        return self._serializer(role).dumps({"name": printable[:_MAX_NAME_LENGTH] or role})

    def read(self, cookie: str) -> Session | None:
        """The session of a cookie; None if the cookie is forged, expired or older than its password."""
        for role in Role:
            try:
                content = self._serializer(role).loads(cookie, max_age=self._session_seconds)
            except BadData:
                continue
            return Session(role=role, name=content["name"])
        return None

    def limit_subject(self, cookie: str | None) -> str | None:
        """Whose requests are counted: a session has limits of its own. None without a valid session."""
        if cookie is None or self.read(cookie) is None:
            return None
        return "session:" + hashlib.sha256(cookie.encode()).hexdigest()[:20]

    def new_device(self) -> str:
        """The cookie of a device that has just logged in."""
        return self.sign(secrets.token_hex(8), purpose=_DEVICE_PURPOSE)

    def known_device(self, cookie: str | None) -> str | None:
        """The id of a device that has logged in before; None for any other."""
        return self.verify(cookie or "", purpose=_DEVICE_PURPOSE, max_age_seconds=DEVICE_SECONDS)

    def sign(self, text: str, *, purpose: str) -> str:
        """A text that only `verify` with the same purpose gives back."""
        return str(URLSafeTimedSerializer(self.secret_key(), salt=purpose).dumps(text))

    def verify(self, signed: str, *, purpose: str, max_age_seconds: int) -> str | None:
        """The text that was signed; None if it is forged or too old."""
        serializer = URLSafeTimedSerializer(self.secret_key(), salt=purpose)
        try:
            return str(serializer.loads(signed, max_age=max_age_seconds))
        except BadData:
            return None

    def _serializer(self, role: Role) -> URLSafeTimedSerializer:
        key = f"{self.secret_key()}:{self._passwords.fingerprint(role)}"
        return URLSafeTimedSerializer(key, salt=f"kammerton.session.{role}")

    def secret_key(self) -> str:
        """The key that all API processes share; generated once. Raises Unavailable."""
        if self._key is None:
            self._key = self._store.get_or_create("session-key", secrets.token_hex(32))
        return self._key

"""Dashboard sessions: a signed cookie, and a limit on login attempts.

The server keeps no session. The cookie holds the user's name; itsdangerous signs and expires it with a
key that all API processes share and that changes with the password of the role.
"""

import secrets
import sys
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from itsdangerous import BadData, URLSafeTimedSerializer

from api.access.authentication import Caller
from api.admin.auth.passwords import SCOPES, Passwords, Role
from shared.ports.admin import SecretStore

COOKIE = "kammerton_session"
SESSION_SECONDS = 12 * 3600
MAX_ATTEMPTS = 10
"""Login attempts from one address in a window, and ten times as many from all addresses together."""
ATTEMPT_WINDOW_SECONDS = 300
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
    ) -> None:
        self._store = store
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

    def allow_attempt(self, address: str) -> bool:
        """Count one login attempt; False if there were too many."""
        total = self._store.count_attempt("login", window_seconds=ATTEMPT_WINDOW_SECONDS)
        from_address = self._store.count_attempt(f"login:{address}", window_seconds=ATTEMPT_WINDOW_SECONDS)
        return from_address <= MAX_ATTEMPTS and total <= 10 * MAX_ATTEMPTS

    def log_in(self, password: str, *, name: str, address: str) -> str | None:
        """The cookie for a correct password, None for a wrong one. Success resets the address's attempts."""
        role = self._passwords.role_of(password, name=name)
        if role is None:
            return None
        self._store.reset_attempts(f"login:{address}")
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

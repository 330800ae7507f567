"""The passwords of the dashboard: one for operators, or one for each operator, and one for viewers.

Without a configured operator password, one is generated and printed when the first process starts;
Redis keeps only its hash.
"""

import hashlib
import hmac
import json
import secrets
import sys
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType

from shared.domain.api_key import Scope
from shared.ports.admin import SecretStore


class Role(StrEnum):
    """What a dashboard user may do."""

    VIEWER = "viewer"
    OPERATOR = "operator"


SCOPES = {
    Role.VIEWER: frozenset({Scope.ADMIN_READ}),
    Role.OPERATOR: frozenset({Scope.ADMIN_READ, Scope.ADMIN_WRITE}),
}


class Passwords:
    """Maps a password to a role. Blocking. Every method may raise Unavailable."""

    def __init__(
        self,
        store: SecretStore,
        *,
        operator: str | None,
        viewer: str | None,
        accounts: Mapping[str, str] = MappingProxyType({}),
        announce: Callable[[str], object] = sys.stderr.write,
    ) -> None:
        """*accounts*: the password of each operator by name. If there are any, *operator* opens nothing."""
        self._store = store
        self._announce = announce
        self._accounts = accounts
        self._configured = {Role.OPERATOR: None if accounts else operator, Role.VIEWER: viewer}
        self._generated_hash: str | None = None

    def role_of(self, password: str, *, name: str = "") -> Role | None:
        """The role that a password grants; None if it is wrong or belongs to another name."""
        role = None
        for account, expected in self._accounts.items():
            if hmac.compare_digest(expected.encode(), password.encode()) and account == name.strip():
                role = Role.OPERATOR
        for candidate, configured in self._configured.items():
            if configured is not None and hmac.compare_digest(configured.encode(), password.encode()):
                role = role or candidate
        if self._has_generated_password and _matches(password, self.generated_hash()):
            role = role or Role.OPERATOR
        return role

    def fingerprint(self, role: Role) -> str:
        """Changes whenever the password of the role does."""
        if role is Role.OPERATOR and self._accounts:
            return hashlib.sha256(json.dumps(dict(self._accounts)).encode()).hexdigest()
        return self._configured[role] or self.generated_hash()

    @property
    def needs_name(self) -> bool:
        """Whether each operator has a name and a password of their own."""
        return bool(self._accounts)

    @property
    def _has_generated_password(self) -> bool:
        return self._configured[Role.OPERATOR] is None and not self._accounts

    def generated_hash(self) -> str:
        """The hash of the generated operator password; empty where one is configured."""
        if not self._has_generated_password:
            return ""
        if self._generated_hash is None:
            password = secrets.token_urlsafe(12)
            own = _hash(password, secrets.token_hex(16))
            self._generated_hash = self._store.get_or_create("operator-password", own)
            if self._generated_hash == own:
                self._announce(
                    f"kammerton: the password of the dashboard's operator is {password} "
                    "(shown only once; set KAMMERTON_ADMIN_PASSWORD to choose your own).\n"
                )
        return self._generated_hash


def _hash(password: str, salt: str) -> str:
    return f"{salt}:{hashlib.scrypt(password.encode(), salt=salt.encode(), n=2**14, r=8, p=1).hex()}"


def _matches(password: str, hashed: str) -> bool:
    return hmac.compare_digest(_hash(password, hashed.partition(":")[0]), hashed)

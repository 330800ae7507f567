"""API keys in the dashboard: create, list and revoke them, as a page and as JSON."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Form, Path
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, Field

from api.admin.audit import record
from api.admin.auth.authentication import AdminUser, CurrentUser, ProvidedSessions
from api.admin.auth.flash import redirect_with_flash
from api.admin.auth.signed_cookie import SignedCookie
from api.admin.rendering import CurrentRenderer
from api.http.problems import documented
from api.http.provided import provided
from shared.clock import store_time
from shared.domain.api_key import ApiKey, Scope, issue_key
from shared.errors import NotFound
from shared.ports.access import ApiKeyStore
from shared.ports.admin import AuditLog
from shared.schemas.job import View
from shared.schemas.timestamp import Timestamp

_DAY_SECONDS = 86_400
_PROBLEMS = documented(400, 401, 403, 404, 422, 503)
_PAGE = "/admin/keys"
_TOKEN = SignedCookie(name="kammerton_new_key", purpose="kammerton_new_key", path=_PAGE, seconds=60)


class KeyView(View):
    """An API key without its secret."""

    id: str = Field(examples=["0a1b2c3d4e5f"])
    name: str
    scopes: list[Scope]
    created_at: Timestamp
    expires_at: Timestamp | None
    revoked_at: Timestamp | None
    last_used_at: Timestamp | None = Field(description="Accurate to about a minute.")
    usable: bool

    @classmethod
    def of(cls, key: ApiKey) -> "KeyView":
        """The view of a key."""
        return cls(
            id=key.id,
            name=key.name,
            scopes=sorted(key.scopes),
            created_at=datetime.fromtimestamp(key.created_at, UTC),
            expires_at=_datetime(key.expires_at),
            revoked_at=_datetime(key.revoked_at),
            last_used_at=_datetime(key.last_used_at),
            usable=key.is_usable(now=store_time()),
        )


class NewKeyView(KeyView):
    """A new key with its token, which no other response contains."""

    token: str = Field(examples=["kam_0a1b2c3d4e5f_…"])


class KeyRequest(BaseModel):
    """The options of a new key."""

    name: str = Field(max_length=100, description="Who uses the key, and for what.")
    scopes: list[Scope] = Field(default=[Scope.JOBS_READ, Scope.JOBS_WRITE], min_length=1)
    days: int | None = Field(None, ge=1, le=3650, description="The key expires after this; null: never.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeys:
    """Creates and revokes keys, and records it in the audit log. Blocking."""

    keys: ApiKeyStore
    audit: AuditLog

    def create(self, options: KeyRequest, *, user: AdminUser) -> tuple[ApiKey, str]:
        """A new key and its token. Raises Forbidden, Unavailable."""
        user.require_write()
        now = store_time()
        expires_at = None if options.days is None else now + options.days * _DAY_SECONDS
        key, token = issue_key(options.name, scopes=frozenset(options.scopes), now=now, expires_at=expires_at)
        self.keys.add(key)
        scopes = ", ".join(sorted(key.scopes))
        record(self.audit, user, "create key", f"key {key.id} ({key.name}): {scopes}")
        return key, token

    def revoke(self, key_id: str, *, user: AdminUser) -> ApiKey:
        """End a key at once. Raises Forbidden, NotFound, Unavailable."""
        user.require_write()
        key = self.keys.revoke(key_id, now=store_time())
        record(self.audit, user, "revoke key", f"key {key.id} ({key.name})")
        return key

    def find(self, key_id: str) -> ApiKey:
        """One key. Raises NotFound, Unavailable."""
        key = self.keys.find(key_id)
        if key is None:
            raise NotFound("The API key does not exist.")
        return key

    def list(self) -> list[KeyView]:
        """All keys, newest first."""
        return [KeyView.of(key) for key in self.keys.list_all()]


ProvidedApiKeys = Annotated[ApiKeys, provided(ApiKeys)]

router = APIRouter(prefix="/admin/api/keys", tags=["dashboard"], responses=_PROBLEMS)
"""The routes under /admin/api/keys."""


@router.get("", summary="List API keys")
def list_keys(api_keys: ProvidedApiKeys, _: CurrentUser) -> list[KeyView]:
    """Newest first, without their secrets."""
    return api_keys.list()


@router.post("", status_code=201, summary="Create an API key")
def create_key(api_keys: ProvidedApiKeys, user: CurrentUser, options: KeyRequest) -> NewKeyView:
    """The response contains the token. No other response does."""
    key, token = api_keys.create(options, user=user)
    return NewKeyView(**KeyView.of(key).model_dump(), token=token)


@router.post("/{key_id}/revoke", summary="Revoke an API key")
def revoke_key(
    api_keys: ProvidedApiKeys, user: CurrentUser, key_id: Annotated[str, Path(max_length=64)]
) -> KeyView:
    """The key stops working at once."""
    return KeyView.of(api_keys.revoke(key_id, user=user))


page_router = APIRouter(prefix=_PAGE, include_in_schema=False)
"""The page /admin/keys."""


@page_router.get("")
def keys_page(
    api_keys: ProvidedApiKeys,
    sessions: ProvidedSessions,
    render: CurrentRenderer,
) -> HTMLResponse:
    """The list of keys, and once the token of a key that was just created."""
    token = _TOKEN.read(render.request, sessions=sessions)
    response = render("keys", keys=api_keys.list(), scopes=list(Scope), token=token)
    if render.request.cookies.get(_TOKEN.name):
        _TOKEN.delete(response)
    return response


@page_router.post("")
def submit_new_key(
    api_keys: ProvidedApiKeys,
    sessions: ProvidedSessions,
    user: CurrentUser,
    name: Annotated[str, Form(max_length=100)],
    scopes: Annotated[list[Scope], Form()],
    days: Annotated[str, Form(pattern="^[0-9]{0,4}$")] = "",
) -> Response:
    """Redirect to the page, which shows the token once: a reload creates no second key."""
    options = KeyRequest(name=name, scopes=scopes, days=int(days) if days.strip("0") else None)
    _, token = api_keys.create(options, user=user)
    response = RedirectResponse(_PAGE, status_code=303)
    _TOKEN.set(response, token, sessions=sessions)
    return response


@page_router.get("/{key_id}/revoke")
def ask_to_revoke(
    api_keys: ProvidedApiKeys,
    render: CurrentRenderer,
    user: CurrentUser,
    key_id: Annotated[str, Path(max_length=64)],
) -> HTMLResponse:
    """Ask before a key is revoked."""
    user.require_write()
    return render(
        "question",
        question=f"Revoke the key “{api_keys.find(key_id).name}”?",
        consequence="Its callers lose access at once. You can’t undo this.",
        address=f"{_PAGE}/{key_id}/revoke",
        action="revoke",
        label="Yes, revoke the key",
        back=_PAGE,
    )


@page_router.post("/{key_id}/revoke")
def submit_revocation(
    api_keys: ProvidedApiKeys,
    sessions: ProvidedSessions,
    user: CurrentUser,
    key_id: Annotated[str, Path(max_length=64)],
) -> Response:
    """Revoke a key, then show the list."""
    key = api_keys.revoke(key_id, user=user)
    return redirect_with_flash(sessions, _PAGE, f"The key “{key.name}” is revoked.")


def _datetime(timestamp: float | None) -> datetime | None:
    return None if timestamp is None else datetime.fromtimestamp(timestamp, UTC)

"""API keys in the dashboard: made, shown once, listed, revoked. As a page and as JSON."""

import time
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, Field

from api.admin.authentication import AdminUser, Recognize
from api.admin.bulk_actions import BulkActions
from api.http.problems import documented
from api.http.templating import page
from shared.domain.api_key import ApiKey, Scope, issue_key
from shared.ports.access import ApiKeyStore
from shared.schemas.job import Timestamp, View

_DAY_SECONDS = 86_400
_PROBLEMS = documented(400, 401, 403, 404, 422, 503)


class KeyView(View):
    """A key without its secret."""

    id: str = Field(examples=["0a1b2c3d4e5f"])
    name: str
    scopes: list[Scope]
    created_at: Timestamp
    expires_at: Timestamp | None
    revoked_at: Timestamp | None
    usable: bool

    @classmethod
    def of(cls, key: ApiKey) -> "KeyView":
        """The view of a key."""
        return cls(
            id=key.id,
            name=key.name,
            scopes=sorted(key.scopes),
            created_at=datetime.fromtimestamp(key.created_at, UTC),
            expires_at=_time(key.expires_at),
            revoked_at=_time(key.revoked_at),
            usable=key.is_usable(now=time.time()),
        )


class NewKeyView(KeyView):
    """A key with the token that nobody can show a second time."""

    token: str = Field(examples=["kam_0a1b2c3d4e5f_…"])


class KeyRequest(BaseModel):
    """What a new key is to be."""

    name: str = Field(max_length=100, description="Who has it, what for.")
    scopes: list[Scope] = Field(default=[Scope.JOBS_READ, Scope.JOBS_WRITE], min_length=1)
    days: int | None = Field(None, ge=1, le=3650, description="Expires after so many; null: never.")


def keys_router(operations: BulkActions, keys: ApiKeyStore, *, recognize: Recognize) -> APIRouter:
    """The page /admin/keys and the routes under /admin/api/keys."""
    router = APIRouter(prefix="/admin", tags=["dashboard"])
    who = Depends(recognize)

    def make(wish: KeyRequest, visitor: AdminUser) -> tuple[ApiKey, str]:
        visitor.require_act()
        now = time.time()
        expires_at = None if wish.days is None else now + wish.days * _DAY_SECONDS
        key, token = issue_key(wish.name, scopes=frozenset(wish.scopes), now=now, expires_at=expires_at)
        keys.add(key)
        operations.write(
            visitor, "make key", f"key {key.id} ({key.name}): {', '.join(sorted(key.scopes))}", 1
        )
        return key, token

    def end(key_id: str, visitor: AdminUser) -> ApiKey:
        visitor.require_act()
        key = keys.revoke(key_id, now=time.time())
        operations.write(visitor, "revoke key", f"key {key.id} ({key.name})", 1)
        return key

    @router.get("/api/keys", summary="List API keys", responses=_PROBLEMS)
    async def listed(_: Annotated[AdminUser, who]) -> list[KeyView]:
        """Newest first, without their secrets."""
        return [KeyView.of(key) for key in await run_in_threadpool(keys.list_all)]

    @router.post("/api/keys", status_code=201, summary="Make an API key", responses=_PROBLEMS)
    async def made(visitor: Annotated[AdminUser, who], wish: KeyRequest) -> NewKeyView:
        """The token is in this answer and never again."""
        key, token = await run_in_threadpool(make, wish, visitor)
        return NewKeyView(**KeyView.of(key).model_dump(), token=token)

    @router.post("/api/keys/{key_id}/revoke", summary="End an API key", responses=_PROBLEMS)
    async def revoked(
        visitor: Annotated[AdminUser, who], key_id: Annotated[str, Path(max_length=64)]
    ) -> KeyView:
        return KeyView.of(await run_in_threadpool(end, key_id, visitor))

    async def shown(request: Request, visitor: AdminUser, token: str | None = None) -> HTMLResponse:
        said = request.query_params.get("said", "")[:300]
        found = [KeyView.of(key) for key in await run_in_threadpool(keys.list_all)]
        context = {"visitor": visitor, "said": said, "keys": found, "scopes": list(Scope), "token": token}
        return page(request, "admin/keys.html", context)

    @router.get("/keys", include_in_schema=False)
    async def keys_page(request: Request, visitor: Annotated[AdminUser, who]) -> HTMLResponse:
        return await shown(request, visitor)

    @router.post("/keys", include_in_schema=False)
    async def make_key(
        request: Request,
        visitor: Annotated[AdminUser, who],
        name: Annotated[str, Form(max_length=100)],
        scopes: Annotated[list[Scope], Form()],
        days: Annotated[str, Form(pattern="^[0-9]{0,4}$")] = "",
    ) -> HTMLResponse:
        wish = KeyRequest(name=name, scopes=scopes, days=int(days) if days.strip("0") else None)
        _, token = await run_in_threadpool(make, wish, visitor)
        return await shown(request, visitor, token)

    @router.post("/keys/{key_id}/revoke", include_in_schema=False)
    async def revoke_key(
        visitor: Annotated[AdminUser, who], key_id: Annotated[str, Path(max_length=64)]
    ) -> Response:
        await run_in_threadpool(end, key_id, visitor)
        return RedirectResponse("/admin/keys?said=The+key+was+revoked.", status_code=303)

    return router


def _time(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)

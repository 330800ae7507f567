"""The uploads that this process is receiving, as the rescuer and the dashboard see them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from anyio import CancelScope
from fastapi.concurrency import run_in_threadpool

from shared.clock import store_time
from shared.errors import Unavailable
from shared.observability.logs import get_logger
from shared.ports.uploads import UploadInfo, UploadRegistry

_log = get_logger(__name__)

HEARTBEAT_SECONDS = 5.0


@dataclass(slots=True, eq=False)
class ActiveUpload:
    """One of them."""

    info: UploadInfo

    async def add(self, size_bytes: int) -> None:
        """Count what has arrived."""
        received = self.info.received_bytes + size_bytes
        self.info = replace(self.info, received_bytes=received, seen_at=store_time())


class ActiveUploads:
    """Registers uploads before storage is touched, until their job is recorded or nothing is left of them."""

    def __init__(self, registry: UploadRegistry) -> None:
        self._registry = registry
        self._uploads: set[ActiveUpload] = set()

    def is_active(self, upload_id: str) -> bool:
        """Whether this process is receiving bytes of an upload, or saving what it has received."""
        return any(upload.info.id == upload_id for upload in self._uploads)

    @asynccontextmanager
    async def track(self, info: UploadInfo) -> AsyncIterator[ActiveUpload]:
        """Register an upload while inside. Raises Unavailable: then its job could not be recorded either."""
        await run_in_threadpool(self._registry.heartbeat, [info])
        upload = ActiveUpload(info)
        self._uploads.add(upload)
        try:
            yield upload
        finally:
            self._uploads.remove(upload)
            if not self.is_active(info.id):  # no other request has taken it over
                with CancelScope(shield=True):
                    await self._deregister(info.id)

    async def _deregister(self, upload_id: str) -> None:
        try:
            await run_in_threadpool(self._registry.deregister, upload_id)
        except Unavailable as error:
            _log.warning("upload_deregister_failed", upload_id=upload_id, reason=error.message)

    async def send_heartbeats(self) -> None:
        """Renew the registrations every few seconds, forever."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            now = store_time()
            alive = [replace(upload.info, seen_at=now) for upload in self._uploads]
            try:
                if alive:
                    await run_in_threadpool(self._registry.heartbeat, alive)
            except Unavailable as error:
                _log.warning("upload_heartbeat_failed", reason=error.message)

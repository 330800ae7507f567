"""The uploads that this process is receiving: known to the rescuer and the dashboard while they last."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from anyio import CancelScope
from fastapi.concurrency import run_in_threadpool

from shared.errors import Unavailable
from shared.observability.logs import get_logger
from shared.ports.uploads import UploadInfo, UploadRegistry

_log = get_logger(__name__)

BEAT_SECONDS = 5.0


@dataclass(slots=True)
class ActiveUpload:
    """One of them."""

    info: UploadInfo

    def progress(self, received_bytes: int) -> None:
        """So much has arrived."""
        self.info = replace(self.info, received_bytes=received_bytes, seen_at=time.time())


class ActiveUploads:
    """Registered before storage is touched; left after the job is recorded, or nothing is left of them."""

    def __init__(self, registry: UploadRegistry) -> None:
        self._registry = registry
        self._uploads: dict[str, ActiveUpload] = {}

    @asynccontextmanager
    async def registered(self, upload: UploadInfo) -> AsyncIterator[ActiveUpload]:
        """Registered while inside. Raises Unavailable: then nothing could be recorded later either."""
        await run_in_threadpool(self._registry.heartbeat, [upload])
        in_flight = self._uploads[upload.id] = ActiveUpload(upload)
        try:
            yield in_flight
        finally:
            del self._uploads[upload.id]
            with CancelScope(shield=True):
                try:
                    await run_in_threadpool(self._registry.deregister, upload.id)
                except Unavailable as error:
                    _log.warning("upload_not_signed_off", upload_id=upload.id, why=error.message)

    async def beat_for_ever(self) -> None:
        """Say every few seconds which ones live."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            now = time.time()
            alive = [replace(upload.info, seen_at=now) for upload in self._uploads.values()]
            try:
                if alive:
                    await run_in_threadpool(self._registry.heartbeat, alive)
            except Unavailable as error:
                _log.warning("uploads_not_beaten", why=error.message)

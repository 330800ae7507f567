"""The background tasks of an API process: prepare the storage, flush metrics and traces."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi.concurrency import run_in_threadpool

from shared.errors import Unavailable
from shared.observability.logs import get_logger
from shared.observability.recorder import MetricsRecorder
from shared.observability.traces import Traces

_log = get_logger(__name__)

_FLUSH_SECONDS = 10
_RETRY_SECONDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundTasks:
    """Runs tasks from before the first request until after the last one."""

    metrics_recorder: MetricsRecorder
    traces: Traces
    prepare_storage: Callable[[], None] = lambda: None
    """Runs at the start, again and again until it succeeds. Blocking. Raises Unavailable."""

    @asynccontextmanager
    async def running(self, *others: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
        """Run the tasks and *others* in the `with` block. Flushes metrics and traces at the end."""
        tasks = [
            asyncio.create_task(each)
            for each in (retry_until_ready(self.prepare_storage), self._flush_regularly(), *others)
        ]
        yield
        for task in tasks:
            task.cancel()
        await self._flush()

    async def _flush_regularly(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            await self._flush()

    async def _flush(self) -> None:
        await run_in_threadpool(self.metrics_recorder.flush)
        await run_in_threadpool(self.traces.flush)


async def retry_until_ready(prepare: Callable[[], None]) -> None:
    """Call *prepare* until it succeeds: the storage may start after this process."""
    while True:
        try:
            return await run_in_threadpool(prepare)
        except Unavailable as error:
            _log.warning("storage_prepare_failed", reason=error.message, cause=error.cause)
            await asyncio.sleep(_RETRY_SECONDS)

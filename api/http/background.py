"""What an API process does beside requests: prepares storage, writes down what it counted and traced."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi.concurrency import run_in_threadpool

from shared.errors import Unavailable
from shared.observability.logs import get_logger
from shared.observability.metrics import MetricsRecorder
from shared.observability.traces import Traces

_log = get_logger(__name__)

_WRITE_SECONDS = 10
_PREPARE_AGAIN_SECONDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """Goes on from the first request to the last."""

    books: MetricsRecorder
    traces: Traces
    prepare: Callable[[], None] = lambda: None
    """Runs at start, until it succeeds. Blocking. Raises Unavailable."""

    @asynccontextmanager
    async def beside(self, *others: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
        """At work while inside, together with *others*; at the end, all is written down."""
        tasks = [
            asyncio.create_task(each)
            for each in (until_prepared(self.prepare), self._keep_writing(), *others)
        ]
        yield
        for task in tasks:
            task.cancel()
        await self._write()

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(_WRITE_SECONDS)
            await self._write()

    async def _write(self) -> None:
        await run_in_threadpool(self.books.flush)
        await run_in_threadpool(self.traces.flush)


async def until_prepared(prepare: Callable[[], None]) -> None:
    """Storage may come up after us."""
    while True:
        try:
            return await run_in_threadpool(prepare)
        except Unavailable as error:
            _log.warning("storage_not_prepared", why=error.message)
            await asyncio.sleep(_PREPARE_AGAIN_SECONDS)

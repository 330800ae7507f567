import asyncio
from typing import Any

from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from api.http.limits.concurrency import ConcurrencyLimit


def test_a_request_over_the_limit_is_refused_until_another_ends() -> None:
    async def scene() -> list[int]:
        gate = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await gate.wait()
            if scope["path"] == "/broken":
                raise ZeroDivisionError
            await PlainTextResponse("done")(scope, receive, send)

        limit = ConcurrencyLimit(app, max_requests=2)
        statuses: list[int] = []

        async def ask(path: str = "/") -> None:
            async def send(message: Any) -> None:
                if message["type"] == "http.response.start":
                    statuses.append(message["status"])

            scope = {"type": "http", "path": path, "method": "GET", "headers": []}
            await limit(scope, None, send)  # type: ignore[arg-type]

        waiting = [asyncio.create_task(ask(path)) for path in ("/", "/broken", "/healthz", "/v1/events")]
        await asyncio.sleep(0)
        await ask()
        gate.set()
        await asyncio.gather(*waiting, return_exceptions=True)
        await ask()
        return statuses

    assert asyncio.run(scene()) == [503, 200, 200, 200, 200]

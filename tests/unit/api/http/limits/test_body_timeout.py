import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from api.http.limits.slow_clients import BodyTimeout
from api.http.problems import add_error_handlers

IDLE_SECONDS = 0.05


class Wish(BaseModel):
    name: str


def answer_to(receive: Callable[[], Awaitable[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What is sent to a client that sends JSON as `receive` does."""
    app = FastAPI()
    add_error_handlers(app)

    @app.post("/")
    async def wish(wish: Wish) -> str:
        return wish.name

    scope = {
        **{"type": "http", "method": "POST", "path": "/", "query_string": b"", "state": {}},
        "headers": [(b"content-type", b"application/json")],
    }
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    timely = BodyTimeout(app, idle_seconds=IDLE_SECONDS, min_bytes_per_second=1)
    asyncio.run(timely(scope, receive, send))
    return sent


def test_a_body_that_stops_times_out() -> None:
    chunks = iter([{"type": "http.request", "body": b'{"na', "more_body": True}])

    async def receive() -> dict[str, Any]:
        for chunk in chunks:
            return chunk
        await asyncio.Event().wait()
        raise AssertionError

    start, body = answer_to(receive)
    assert start["status"] == 408
    assert (b"connection", b"close") in start["headers"]
    assert b'"detail":"The request body stopped or was too slow. Send the request again."' in body["body"]


def test_a_client_can_wait_after_its_body_is_complete() -> None:
    heard: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while not heard or heard[-1]["type"] != "http.disconnect":
            heard.append(await receive())

    async def receive() -> dict[str, Any]:
        if not heard:
            return {"type": "http.request", "body": b"{}"}
        await asyncio.sleep(3 * IDLE_SECONDS)
        return {"type": "http.disconnect"}

    timely = BodyTimeout(app, idle_seconds=IDLE_SECONDS, min_bytes_per_second=1)
    asyncio.run(timely({"type": "http"}, receive, _nowhere))
    assert [message["type"] for message in heard] == ["http.request", "http.disconnect"]


async def _nowhere(_: Any) -> None:
    pass

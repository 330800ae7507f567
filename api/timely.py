"""Bodies of all requests arrive in time: pure ASGI middleware. Uploads have a stricter pace of their own."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.pace import Pace
from shared.errors import UploadStalled


class TimelyBody:
    """Answers 408 to a client that stops in the middle of a body, or sends it too slowly."""

    def __init__(self, app: ASGIApp, *, idle_seconds: float, least_bytes_per_second: float) -> None:
        self._app = app
        self._idle_seconds = idle_seconds
        self._least_rate = least_bytes_per_second

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        pace = Pace(idle_seconds=self._idle_seconds, least_bytes_per_second=self._least_rate)
        ended = False

        async def in_time() -> Message:
            nonlocal ended
            if ended:
                return await receive()  # waits for the client to hang up
            try:
                async with pace.waiting():
                    message = await receive()
            except UploadStalled:
                detail = "The request's body stopped, or came too slowly; send it again."
                raise HTTPException(408, detail) from None
            pace.received(len(message.get("body", b"")))
            ended = not message.get("more_body", False)
            return message

        await self._app(scope, in_time, send)

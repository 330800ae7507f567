"""What tus 1.0 asks of every request and response, before a route is chosen."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.root_path import route_path

VERSION = "1.0.0"
PREFIX = "/v1/tus"
_OVERRIDABLE = {"HEAD", "PATCH", "DELETE", "OPTIONS", "POST"}


class TusProtocol:
    """Accepts a trailing slash and X-HTTP-Method-Override, and sends Tus-Resumable with every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        path = route_path(scope)
        if path != PREFIX and not path.startswith(PREFIX + "/"):
            return await self._app(scope, receive, send)
        # Changed in place: the request log and the metrics read the route from the same scope.
        scope["path"] = scope["path"].rstrip("/")
        method = Headers(scope=scope).get("x-http-method-override", "").upper()
        if method in _OVERRIDABLE:
            scope["method"] = method
        if scope["method"] == "OPTIONS":  # capabilities are those of the server, not of one upload
            scope["path"] = scope.get("root_path", "") + PREFIX

        async def send_with_version(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Tus-Resumable"] = VERSION
                if message["status"] == 412:
                    headers["Tus-Version"] = VERSION
            await send(message)

        await self._app(scope, receive, send_with_version)

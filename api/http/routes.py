"""The methods of a path, and HEAD and OPTIONS for every path that has GET."""

from collections.abc import Sequence

from fastapi.routing import iter_route_contexts
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def allowed_methods(routes: Sequence[BaseRoute], scope: Scope) -> set[str]:
    """The methods that this path supports: the union of all its routes, except catch-all routes.

    The router itself only reports the methods of the first route that matches. Empty for unknown paths, and
    for mounted apps.
    """
    contexts = [
        context
        for context in iter_route_contexts(routes)
        if context.methods
        and not str(context.path).endswith(":path}")
        and context.matches(scope)[0] is not Match.NONE
    ]
    contexts = [context for context in contexts if context.include_in_schema] or contexts
    methods = [context.methods or set() for context in contexts if context.path == contexts[0].path]
    return set[str]().union(*methods)


def _is_static_file(routes: Sequence[BaseRoute], scope: Scope) -> bool:
    """Whether the path belongs to a mounted app: ours are folders of static files."""
    return any(isinstance(route, Mount) and route.matches(scope)[0] is not Match.NONE for route in routes)


def with_implied_methods(methods: set[str]) -> set[str]:
    """The methods with those that `HeadAndOptions` adds."""
    return methods | ({"HEAD"} if "GET" in methods else set()) | {"OPTIONS"}


class HeadAndOptions:
    """Middleware that responds to HEAD like GET without the body, and to OPTIONS with the allowed methods."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request."""
        if scope["type"] == "http" and scope["method"] in {"HEAD", "OPTIONS"}:
            routes = scope["app"].routes
            methods = allowed_methods(routes, scope)
            if not methods and scope["method"] == "OPTIONS" and _is_static_file(routes, scope):
                methods = {"GET"}
            if methods and scope["method"] not in methods:
                if scope["method"] == "OPTIONS":
                    allow = ", ".join(sorted(with_implied_methods(methods)))
                    return await Response(status_code=204, headers={"Allow": allow})(scope, receive, send)
                if "GET" in methods:
                    return await self._head(scope, receive, send)
        await self._app(scope, receive, send)

    async def _head(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def receive_until_started() -> Message:
            # A stream, like that of events, ends as if the client had disconnected.
            return {"type": "http.disconnect"} if started else await receive()

        async def send_head(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                scope["method"] = "HEAD"
                started = True
                await send(message)
                await send({"type": "http.response.body", "body": b""})

        scope["method"] = "GET"
        await self._app(scope, receive_until_started, send_head)

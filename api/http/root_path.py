"""Serves everything below KAMMERTON_ROOT_PATH, whether or not the proxy removes that prefix from the path."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.root_path import public_path, root_path


def route_path(scope: Scope) -> str:
    """The path without the prefix, as the routes have it."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("app_root_path", scope.get("root_path", "")))


class RootPath:
    """Middleware that adds the prefix to each request's path, to Location, and to the Path of cookies.

    So all other code names the paths of routes. Links inside of a body use `public_path`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request."""
        prefix = root_path()
        if scope["type"] != "http" or not prefix:
            return await self._app(scope, receive, send)
        scope["root_path"] = prefix
        if scope["path"] != prefix and not scope["path"].startswith(prefix + "/"):
            scope["path"] = prefix + scope["path"]

        async def send_with_prefix(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_prefix(MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive, send_with_prefix)


def _add_prefix(headers: MutableHeaders) -> None:
    location = headers.get("location", "")
    if location.startswith("/"):
        headers["location"] = public_path(location)
    cookies = headers.getlist("set-cookie")
    if cookies:
        del headers["set-cookie"]
        for cookie in cookies:
            headers.append("set-cookie", _with_prefix(cookie))


def _with_prefix(cookie: str) -> str:
    """The cookie for the same path below the prefix: `/` is the prefix itself."""
    attributes = [part.strip() for part in cookie.split(";")]
    return "; ".join(
        _public_attribute(attribute) if number else attribute for number, attribute in enumerate(attributes)
    )


def _public_attribute(attribute: str) -> str:
    name, _, path = attribute.partition("=")
    if name.lower() != "path":
        return attribute
    return f"{name}={public_path(path).rstrip('/')}"

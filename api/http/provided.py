"""Services as dependencies of route handlers: `Annotated[TusService, provided(TusService)]`.

`create_app` says once which object serves each class.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import Depends, FastAPI, Request


def provide(app: FastAPI, services: Mapping[Any, object]) -> None:
    """Set what the handlers of *app* receive, by class."""
    app.state.provided = dict(services)


def provided(kind: Any) -> Any:
    """Depend on the object that serves the class *kind*."""

    async def find(request: Request) -> object:  # async, since FastAPI calls others in a thread
        return request.app.state.provided[kind]

    return Depends(find)

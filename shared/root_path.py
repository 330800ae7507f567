"""The path prefix of the whole service, such as `/kammerton` behind a proxy (KAMMERTON_ROOT_PATH).

One value for each process, like the clock: every link, in responses, pages and webhooks, begins with it.
"""

_root_path = ""


def root_path() -> str:
    """Empty, or a path with a slash at its beginning and none at its end."""
    return _root_path


def public_path(path: str) -> str:
    """The path of this service as clients see it."""
    return _root_path + path


def use_root_path(path: str) -> None:
    """Set the prefix of this process. The code that connects the services calls it."""
    global _root_path
    _root_path = path

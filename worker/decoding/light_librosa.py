"""Imports librosa without numba and scipy.signal, which `librosa.stream` doesn't use: 70 MB less.

librosa imports them for its estimators, and numba compiles some of these on import. Afterwards only what
librosa has in plain Python works, so this is for processes that decode.
"""

import importlib
import sys
from types import ModuleType
from typing import Any

_USED = ("librosa.core.audio", "librosa.util.utils")
_UNUSED = ("numba", "scipy.signal")


class _Placeholder(ModuleType):
    """Stands for a module while another imports it. Every name in it is a decorator that does nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _decorator


def _decorator(*arguments: Any, **_: Any) -> Any:
    """Return the function of `@jit`, or of `@jit(...)` a decorator that returns it."""
    is_bare = len(arguments) == 1 and callable(arguments[0])
    return arguments[0] if is_bare else _decorator


def import_librosa() -> None:
    """Import the part of librosa that reads audio. Does nothing if librosa is imported already."""
    if "librosa" in sys.modules:
        return
    placeholders = {name: _Placeholder(name) for name in _UNUSED if name not in sys.modules}
    sys.modules.update(placeholders)
    try:
        for name in _USED:
            importlib.import_module(name)
    finally:
        for name in placeholders:
            del sys.modules[name]

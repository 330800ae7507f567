"""Python reads this at start if its folder is in PYTHONPATH: names under slow.example are never resolved."""

import socket
import threading
from typing import Any

_getaddrinfo = socket.getaddrinfo
_NEVER = threading.Event()


def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
    if str(host).endswith("slow.example"):
        _NEVER.wait()
    return _getaddrinfo(host, *arguments, **options)


socket.getaddrinfo = getaddrinfo

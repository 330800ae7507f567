"""Free ports on 127.0.0.1, reserved until their server binds them."""

import socket
import sys

HOST = "127.0.0.1"


class Ports:
    """Reserved ports. Two instances never choose the same port."""

    def __init__(self, count: int, *, preferred: list[int] | None = None) -> None:
        """*preferred*: taken if all of them are free."""
        self._sockets: list[socket.socket] = []
        try:
            self.numbers = [self._reserve(port) for port in preferred or [0] * count]
        except OSError:
            self.release()
            self.numbers = [self._reserve(0) for _ in range(count)]
        if sys.platform != "linux":  # elsewhere a bound socket blocks our own server as well
            self.release()

    def release(self) -> None:
        """End the reservation."""
        for reserved in self._sockets:
            reserved.close()
        self._sockets.clear()

    def _reserve(self, port: int) -> int:
        reserved = socket.socket()
        self._sockets.append(reserved)
        # Without SO_REUSEADDR, bind fails for a port that is in use. A preferred port may still be in
        # TIME_WAIT from our last run. Set after the bind, it lets our server bind and listen as well
        # (servers set it, too), because this socket never listens.
        if port:
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind((HOST, port))
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        number: int = reserved.getsockname()[1]
        return number

"""Free ports on 127.0.0.1, kept free until their server takes them."""

import socket
import sys

HOST = "127.0.0.1"


class Ports:
    """Some ports, held for as long as this object is kept. Two instances never choose the same."""

    def __init__(self, count: int, *, wished: list[int] | None = None) -> None:
        """`wished`: taken instead if all of them are free."""
        self._held: list[socket.socket] = []
        try:
            self.numbers = [self._hold(port) for port in wished or [0] * count]
        except OSError:
            self.release()
            self.numbers = [self._hold(0) for _ in range(count)]
        if sys.platform != "linux":  # elsewhere a bound socket keeps our own server out, too
            self.release()

    def release(self) -> None:
        """Let others have them."""
        for held in self._held:
            held.close()
        self._held.clear()

    def _hold(self, port: int) -> int:
        held = socket.socket()
        self._held.append(held)
        # Without SO_REUSEADDR a bind fails for a port that anyone holds; a wished one may still be
        # cooling down from our own last time. Set afterwards, it lets our server bind and listen beside
        # us (servers set it, too), because we never listen.
        if port:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((HOST, port))
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        number: int = held.getsockname()[1]
        return number

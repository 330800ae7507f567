"""A way to our storage on which chosen requests get no answer, as while it is started anew."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.relays import a_relay
from tests.servers import S3Server

TRIES_OF_A_CALL = 3
"""By our S3 client, before it gives up."""


@dataclass
class RefusingProxy:
    """Between us and a storage that is well."""

    url: str = ""
    left: int = 0
    """How many requests are still to be refused."""
    _wanted: re.Pattern[bytes] = re.compile(b"")

    def refuse_one_call(self, method: str, address: str) -> None:
        """The next one whose path and query match; the one after it succeeds."""
        self._wanted = re.compile(rf"{method} \S*{address} HTTP/1.1\r\n".encode())
        self.left = TRIES_OF_A_CALL

    def refuses(self, asked: bytes) -> bool:
        if self.left == 0 or not self._wanted.match(asked):
            return False
        self.left -= 1
        return True


@contextmanager
def a_refusing_proxy(storage: S3Server) -> Iterator[RefusingProxy]:
    proxy = RefusingProxy()
    with a_relay(storage, lambda asked, *_: proxy.refuses(asked)) as proxy.url:
        yield proxy

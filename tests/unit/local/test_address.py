"""What a start that isn't ready yet says about it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from local.address import what_is_missing


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """The address of a server that answers everything alike."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/readyz"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body", "sentences"),
    [
        (200, b'{"status":"ready","jobs":true,"audio":true,"workers":1}', []),
        (200, b'{"status":"degraded","jobs":true,"audio":true,"workers":0}', ["No worker is running yet."]),
        (503, b'{"status":"unavailable","jobs":false,"audio":true,"workers":0}', ["KAMMERTON_REDIS_URL"]),
        (503, b'{"status":"unavailable","jobs":true,"audio":false,"workers":1}', ["KAMMERTON_S3_BUCKET"]),
        (
            503,
            b'{"status":"unavailable","jobs":false,"audio":false,"workers":0}',
            ["KAMMERTON_REDIS_URL", "KAMMERTON_S3_BUCKET"],
        ),
    ],
)
def test_what_readyz_lacks_is_named_with_its_setting(status: int, body: bytes, sentences: list[str]) -> None:
    with answering(status, body) as address:
        missing = what_is_missing(address)
    assert bool(missing) == bool(sentences)
    for sentence in sentences:
        assert sentence in missing


@pytest.mark.parametrize(("status", "body"), [(503, b""), (502, b"<html>"), (200, b"[]")])
def test_another_answer_is_not_taken_for_ready(status: int, body: bytes) -> None:
    with answering(status, body) as address:
        assert what_is_missing(address) == "The API does not answer yet."


def test_no_answer_is_not_taken_for_ready() -> None:
    assert what_is_missing("http://127.0.0.1:1/readyz") == "The API does not answer yet."

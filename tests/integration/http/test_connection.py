"""Real sockets: slow clients, upgrades, and refusals that must be read."""

import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from api.http.limits import connection
from api.http.limits.connection import Connection
from api.http.limits.lingering_close import LingeringTransport

MIB = 1024 * 1024


class Hasty(Connection):
    header_seconds = 0.5
    read_seconds = 0.5


async def length(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def refuse(_: Request) -> Response:
    return PlainTextResponse("no", 403)


requested = threading.Event()


async def large(_: Request) -> Response:
    requested.set()
    return Response(bytes(64 * MIB))


@contextmanager
def running_server(protocol: type[Connection], *, keep_alive_seconds: int = 5) -> Iterator[uvicorn.Server]:
    routes = [Route("/length", length, methods=["GET", "POST"]), Route("/large", large)]
    app = Starlette(routes=[*routes, Route("/refuse", refuse, methods=["POST"])])
    config = uvicorn.Config(
        app,
        port=0,
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        timeout_keep_alive=keep_alive_seconds,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def hasty() -> Iterator[uvicorn.Server]:
    with running_server(Hasty) as server:
        yield server


@pytest.fixture(scope="module")
def patient() -> Iterator[uvicorn.Server]:
    with running_server(Connection) as server:
        yield server


def to(server: uvicorn.Server) -> socket.socket:
    address = server.servers[0].sockets[0].getsockname()
    return socket.create_connection(address, timeout=60)


def everything(connected: socket.socket) -> bytes:
    """What comes until the server has closed the connection."""
    found = b""
    with suppress(ConnectionError):
        while more := connected.recv(65536):
            found += more
    return found


def drip(connected: socket.socket, byte: bytes) -> bytes:
    """Send a byte now and then, forever. Returns what came until the server gave up."""
    connected.settimeout(0.02)
    found = b""
    with suppress(ConnectionError):
        while True:
            try:
                more = connected.recv(65536)
                found += more
                if not more:
                    break
            except TimeoutError:
                connected.sendall(byte)
    return found


def parse_problem(answer: bytes) -> tuple[int, str, str]:
    """Status, problem code, what it says of the connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head.decode().splitlines()[1:])
    assert headers["content-type"] == "application/problem+json"
    return int(head.split()[1]), json.loads(body)["code"], headers["connection"]


GET = b"GET /length HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "begin", [b"", GET, b"GET /", GET + b"\r\n" + GET], ids=["header", "more", "line", "2nd"]
)
def test_slow_headers_have_one_timeout(hasty: uvicorn.Server, begin: bytes) -> None:
    with to(hasty) as connected:
        connected.sendall(begin or b"GET /length HTTP/1.1\r\nHost: ")
        answer = drip(connected, b"A")
    _, _, last = answer.rpartition(b"HTTP/1.1 ")
    assert parse_problem(b"HTTP/1.1 " + last) == (408, "request_timeout", "close")
    assert answer.count(b"HTTP/1.1 200") == (1 if begin.count(b"GET") == 2 else 0)


@pytest.mark.parametrize("begin", [b"", GET + b"\r\n"], ids=["at first", "after an answer"])
@pytest.mark.parametrize("byte", [b"", b"\r\n"], ids=["silence", "line ends"])
def test_an_idle_connection_is_closed(hasty: uvicorn.Server, begin: bytes, byte: bytes) -> None:
    with to(hasty) as connected:
        connected.sendall(begin)
        answer = drip(connected, byte) if byte else everything(connected)
    assert answer.count(b"HTTP/1.1 ") == bool(begin)


def test_a_connection_stays_open_between_requests_as_long_as_is_set() -> None:
    with running_server(Hasty, keep_alive_seconds=75) as server, to(server) as kept:
        for _ in range(2):
            kept.sendall(GET + b"\r\n")
            while not (answer := kept.recv(65536)).endswith(b"0"):
                assert answer, "the connection was closed"
            with to(server) as younger:
                assert everything(younger) == b"", "closed by the timeout for headers"


def test_the_rest_of_a_refused_body_is_not_awaited(hasty: uvicorn.Server) -> None:
    with to(hasty) as connected:
        connected.sendall(b"POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert drip(connected, b"x").startswith(b"HTTP/1.1 403")


def test_a_client_that_does_not_read_its_response_is_disconnected(hasty: uvicorn.Server) -> None:
    with to(hasty) as connected:
        connected.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        requested.wait()
        while hasty.server_state.connections:
            time.sleep(0.01)
        assert len(everything(connected)) < 64 * MIB


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"GET /length HTTP/1.1\r\nHost: x\r\nX: ", b"y"),
        (b"GET /length HTTP/1.1\r\n", b"X: y\r\n"),
        (b"GET /", b"y"),
        (b"POST /length HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
        (b"POST /length HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ", b"y"),
        (b"POST /length HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;x=", b"y"),
    ],
    ids=["a header", "headers", "an address", "trailers", "a trailer", "a chunk's extension"],
)
def test_endless_headers_are_refused(patient: uvicorn.Server, begin: bytes, more: bytes) -> None:
    sent = 0
    with to(patient) as connected:
        with suppress(ConnectionError):
            connected.sendall(begin)
            while sent < 64 * MIB:
                connected.sendall(more * (32768 // len(more)))
                sent += 32768
        everything(connected)
    assert sent < 64 * MIB


def test_headers_that_are_too_large_get_431(patient: uvicorn.Server) -> None:
    with to(patient) as connected:
        connected.sendall(GET + b"X: " + b"y" * Connection.max_header_bytes)
        assert parse_problem(everything(connected)) == (431, "headers_too_large", "close")


def test_invalid_http_gets_a_problem(patient: uvicorn.Server) -> None:
    with to(patient) as connected:
        connected.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
        assert parse_problem(everything(connected)) == (400, "bad_http", "close")


def test_a_body_in_many_small_chunks_is_accepted(patient: uvicorn.Server) -> None:
    count = 40_000  # their framing alone is far more than headers may be
    with to(patient) as connected:
        connected.sendall(b"POST /length HTTP/1.1\r\nHost: x\r\nConnection: close\r\n")
        connected.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(count // 1000):
            connected.sendall(b"1\r\nx\r\n" * 1000)
        connected.sendall(b"0\r\n\r\n")
        assert everything(connected).endswith(b"\r\n\r\n%d" % count)


def test_many_requests_share_a_connection(patient: uvicorn.Server) -> None:
    with to(patient) as connected:
        for size in (0, 3 * MIB, 1, 100_000):
            head = f"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
            connected.sendall(head.encode() + bytes(size))
            answer = b""
            while not answer.endswith(f"\r\n\r\n{size}".encode()):
                answer += connected.recv(65536)


UPGRADES = [
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
    b"Upgrade: websocket\r\nConnection: keep-alive, upgrade\r\n",
]


@pytest.mark.parametrize("upgrade", UPGRADES)
@pytest.mark.parametrize("cut", [None, 10, 60, 180])
def test_an_upgrade_request_is_ignored_and_its_body_is_read(
    patient: uvicorn.Server, upgrade: bytes, cut: int | None
) -> None:
    post = b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
    requests = post + upgrade + b"\r\nhello" + post + b"\r\nworld" + post + b"Connection: close\r\n\r\nagain"
    with to(patient) as connected:
        connected.sendall(requests[:cut])
        if cut is not None:
            time.sleep(0.05)
            connected.sendall(requests[cut:])
        answer = everything(connected)
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert [part[-1:] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"5"] * 3


@pytest.mark.parametrize("upgrade", UPGRADES)
def test_an_upgrade_request_keeps_a_chunked_body(patient: uvicorn.Server, upgrade: bytes) -> None:
    head = b"POST /length HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n" + upgrade
    with to(patient) as connected:
        connected.sendall(head + b"\r\n5\r\nhello\r\n")
        connected.sendall(b"5\r\nworld\r\n0\r\n\r\n")
        connected.shutdown(socket.SHUT_WR)
        assert everything(connected).endswith(b"10")


def test_connect_is_refused(patient: uvicorn.Server) -> None:
    with to(patient) as connected:
        connected.sendall(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n")
        assert parse_problem(everything(connected))[:2] == (400, "bad_http")


def test_curl_with_http2_uploads_its_body(patient: uvicorn.Server) -> None:
    port = patient.servers[0].sockets[0].getsockname()[1]
    command = ["curl", "--silent", "--http2", "--data-binary", "x" * 5000, f"http://127.0.0.1:{port}/length"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"5000"


@pytest.mark.parametrize("size", [MIB, 64 * MIB])
def test_a_client_that_sends_everything_first_reads_a_refusal(patient: uvicorn.Server, size: int) -> None:
    with to(patient) as connected:
        connected.sendall(b"POST /refuse HTTP/1.1\r\nHost: x\r\nConnection: close\r\n")
        connected.sendall(b"Content-Length: %d\r\n\r\n" % size)
        for _ in range(size // MIB):
            connected.sendall(bytes(MIB))
        answer = b""
        while more := connected.recv(65536):  # a reset would raise
            answer += more
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert answer.endswith(b"no")


class ImpatientTransport(LingeringTransport):
    idle_seconds = 0.3
    total_seconds = 1.0
    max_bytes = MIB


@pytest.mark.parametrize(("pause", "piece"), [(1.2, b"x"), (0.05, b"x"), (0.0, bytes(65536))])
def test_an_unread_body_is_not_awaited_forever(
    monkeypatch: pytest.MonkeyPatch, pause: float, piece: bytes
) -> None:
    """Whether the client is silent, slow, or sends without end."""
    monkeypatch.setattr(connection, "LingeringTransport", ImpatientTransport)
    with running_server(Connection) as server, to(server) as connected:
        connected.sendall(
            b"POST /refuse HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 999999999\r\n\r\n"
        )
        while connected.recv(65536):
            pass
        deadline = time.monotonic() + 30
        with pytest.raises(ConnectionError):  # noqa: PT012 - until the server hangs up
            while time.monotonic() < deadline:
                time.sleep(pause)
                connected.sendall(piece)

"""One request to somebody else, over real sockets."""

import itertools
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import pytest
import trustme

from shared.errors import AddressRefused, Unreachable
from shared.outbound.address_rules import HttpResponse, OutboundRules, parse_networks
from shared.outbound.client import OutboundClient
from tests.support.webhook_receivers import (
    ReceivedRequest,
    Reply,
    hang,
    running_receiver,
    socket_server,
    trickle,
)

RULES = OutboundRules(networks=parse_networks("127.0.0.0/8"))


def loopback(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def post(outbound: OutboundClient, url: str, *, seconds: float = 5, max_bytes: int = 1024) -> HttpResponse:
    return outbound.send(
        "POST",
        url,
        headers={"Content-Type": "application/json"},
        content=b"{}",
        timeout_seconds=seconds,
        max_bytes=max_bytes,
        allow_http=True,
    )


def test_a_request_and_its_response_arrive_unchanged() -> None:
    with running_receiver() as receiver:
        answer = post(OutboundClient(rules=RULES), receiver.url + "?a=b")
    (got,) = receiver.requests
    assert (got.method, got.path, got.body) == ("POST", "/hook?a=b", b"{}")
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert (answer.status, answer.body, answer.is_internal) == (200, b"thanks", True)


def test_a_range_can_be_requested_and_read_in_chunks() -> None:
    def some(got: ReceivedRequest) -> Reply:
        assert got.headers["range"] == "bytes=0-99999"
        return 206, {"Content-Range": "bytes 0-99999/200000"}, b"x" * 100_000

    with (
        running_receiver(some) as receiver,
        OutboundClient(rules=RULES).stream(
            "GET",
            receiver.url,
            headers={"Range": "bytes=0-99999"},
            timeout_seconds=5,
            max_bytes=100_000,
            allow_http=True,
        ) as incoming,
    ):
        assert incoming.headers["content-range"] == "bytes 0-99999/200000"
        assert sum(map(len, incoming.chunks)) == 100_000
    assert "content-length" not in receiver.requests[0].headers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_returned_and_not_followed(status: int) -> None:
    with (
        running_receiver() as secret,
        running_receiver(lambda _: (status, {"Location": secret.url}, b"")) as receiver,
    ):
        answer = post(OutboundClient(rules=RULES), receiver.url)
    assert answer.status == status
    assert secret.requests == []


def test_a_response_is_read_up_to_the_limit() -> None:
    with running_receiver(lambda _: (200, {"Content-Length": "1000000000"}, b"x" * 300_000)) as receiver:
        answer = post(OutboundClient(rules=RULES), receiver.url, max_bytes=1024)
    assert len(answer.body) == 1024


def test_a_compressed_response_is_not_decompressed() -> None:
    with running_receiver(lambda _: (200, {"Content-Encoding": "gzip"}, b"\x1f\x8bbomb")) as receiver:
        assert post(OutboundClient(rules=RULES), receiver.url).body == b"\x1f\x8bbomb"
    assert receiver.requests[0].headers["accept-encoding"] == "identity"


def test_a_name_that_becomes_private_is_never_connected_to() -> None:
    answers = itertools.chain([["93.184.215.14"]], itertools.repeat(["127.0.0.1"]))
    with running_receiver() as receiver:
        outbound = OutboundClient(rules=OutboundRules(), resolver=lambda *_: next(answers))
        assert outbound.check("https://rebind.example/").host == "rebind.example"
        with pytest.raises(AddressRefused):
            post(outbound, "http://rebind.example:8080/")
    assert receiver.requests == []


def test_a_name_is_resolved_once_so_that_the_checked_address_is_the_called_one() -> None:
    asked: list[str] = []

    def counting(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    with running_receiver() as receiver:
        outbound = OutboundClient(rules=RULES, resolver=counting)
        post(outbound, f"http://once.example:{receiver.port}/hook")
    assert asked == ["once.example"]
    assert receiver.requests[0].headers["host"] == f"once.example:{receiver.port}"


def test_proxy_variables_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_receiver() as proxy, running_receiver() as receiver:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        post(OutboundClient(rules=RULES), receiver.url)
    assert len(receiver.requests) == 1
    assert proxy.requests == []


def test_tls_keeps_the_name_for_sni_and_for_the_certificate() -> None:
    authority = trustme.CA()
    named: list[str | None] = []
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("hooks.example").configure_cert(tls)
    tls.sni_callback = lambda _, name, __: named.append(name)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    with running_receiver(tls=tls) as receiver:
        outbound = OutboundClient(rules=RULES, resolver=loopback, trust=trust)
        assert post(outbound, f"https://hooks.example:{receiver.port}/").status == 200
        with pytest.raises(Unreachable, match="certificate is invalid"):
            post(outbound, f"https://other.example:{receiver.port}/")
        with pytest.raises(Unreachable, match="certificate is invalid"):
            post(OutboundClient(rules=RULES, resolver=loopback), f"https://hooks.example:{receiver.port}/")
    assert named == ["hooks.example", "other.example", "hooks.example"]
    assert len(receiver.requests) == 1


def garbage(connected: socket.socket) -> None:
    connected.recv(65536)
    connected.sendall(b"SSH-2.0-OpenSSH_9.9\r\n" * 100)


def endless_headers(connected: socket.socket) -> None:
    connected.recv(65536)
    connected.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connected.sendall(b"X-Padding: " + b"x" * 1000 + b"\r\n")


def gone(connected: socket.socket) -> None:
    connected.recv(65536)


def half(connected: socket.socket) -> None:
    connected.recv(65536)
    connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


def endless_hints(connected: socket.socket) -> None:
    connected.recv(65536)
    while True:
        connected.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")


@pytest.mark.parametrize(
    ("serve", "code"),
    [
        (hang, "timeout"),
        (trickle, "timeout"),
        (endless_hints, "timeout"),
        (garbage, "bad_answer"),
        (endless_headers, "bad_answer"),
        (gone, "bad_answer"),
    ],
)
def test_a_server_that_violates_http_is_unreachable(
    serve: Callable[[socket.socket], None], code: str
) -> None:
    with socket_server(serve) as port, pytest.raises(Unreachable) as unreachable:
        post(OutboundClient(rules=RULES), f"http://127.0.0.1:{port}/", seconds=0.5)
    assert unreachable.value.code == code


def test_a_server_that_never_finishes_tls_times_out() -> None:
    with socket_server(hang) as port, pytest.raises(Unreachable) as unreachable:
        post(OutboundClient(rules=RULES), f"https://127.0.0.1:{port}/", seconds=0.5)
    assert unreachable.value.code == "timeout"


def dawdle(*_: object) -> None:
    """Longer than it is between two pulses."""
    threading.Event().wait(0.6)


def test_on_tick_disturbs_neither_a_slow_handshake_nor_a_slow_body() -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("slow.example").configure_cert(tls)
    tls.sni_callback = dawdle
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    pulses: list[int] = []

    def slow(_: ReceivedRequest) -> Reply:
        dawdle()
        return 200, {}, b"thanks"

    with (
        running_receiver(slow, tls=tls) as receiver,
        OutboundClient(rules=RULES, resolver=loopback, trust=trust).stream(
            "GET",
            f"https://slow.example:{receiver.port}/",
            headers={},
            timeout_seconds=30,
            max_bytes=1024,
            on_wait=lambda: pulses.append(1),
        ) as incoming,
    ):
        assert b"".join(incoming.chunks) == b"thanks"
    assert len(pulses) > 4


class Stop(Exception):
    pass


def test_on_tick_ends_a_connection_that_is_not_accepted() -> None:
    pulses = itertools.count(1)

    def stop() -> None:
        if next(pulses) == 4:
            raise Stop

    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):  # what the kernel takes by itself; the next one waits
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        request = OutboundClient(rules=RULES).stream(
            "GET",
            f"http://127.0.0.1:{full.getsockname()[1]}/",
            headers={},
            timeout_seconds=60,
            max_bytes=1,
            allow_http=True,
            on_wait=stop,
        )
        with pytest.raises(Stop), request:
            raise AssertionError("it was answered")


def test_a_body_that_trickles_is_cut_off_at_the_deadline() -> None:
    def serve(connected: socket.socket) -> None:
        connected.recv(65536)
        connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
        trickle(connected)

    with socket_server(serve) as port:
        response = post(OutboundClient(rules=RULES), f"http://127.0.0.1:{port}/", seconds=0.5)
    assert response.status == 200
    assert 0 < len(response.body) < 900


def test_a_response_counts_once_its_status_has_arrived() -> None:
    with socket_server(half) as port:
        response = post(OutboundClient(rules=RULES), f"http://127.0.0.1:{port}/")
    assert (response.status, response.body) == (200, b"half")


def test_a_resolver_that_hangs_times_out() -> None:
    def never(host: str, port: int) -> Sequence[str]:
        threading.Event().wait(3)
        return ["127.0.0.1"]

    with pytest.raises(Unreachable) as unreachable:
        post(OutboundClient(rules=RULES, resolver=never), "http://slow.example/", seconds=0.2)
    assert unreachable.value.code == "timeout"


def test_a_closed_port_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(Unreachable) as unreachable:
        post(OutboundClient(rules=RULES), f"http://127.0.0.1:{port}/")
    assert unreachable.value.code == "connect_failed"


def test_the_next_address_is_tried_if_the_first_refuses() -> None:
    with running_receiver() as receiver:
        outbound = OutboundClient(rules=RULES, resolver=lambda *_: ["127.0.0.2", "127.0.0.1"])
        assert post(outbound, f"http://two.example:{receiver.port}/").status == 200


def proxying(asked: list[bytes], answer: bytes) -> Callable[[socket.socket], None]:
    def serve(connected: socket.socket) -> None:
        asked.append(connected.recv(65536))
        connected.sendall(answer)
        if connected.recv(65536):
            connected.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    return serve


def test_an_egress_proxy_gets_the_checked_address_and_not_the_name() -> None:
    asked: list[bytes] = []
    with socket_server(proxying(asked, b"HTTP/1.1 200 Connected\r\n\r\n")) as port:
        outbound = OutboundClient(
            rules=OutboundRules(),
            resolver=lambda *_: ["93.184.215.14"],
            proxy=f"http://me:p%40ss@127.0.0.1:{port}",
        )
        assert post(outbound, "http://good.example/").status == 204
    head = asked[0].decode()
    assert head.startswith("CONNECT 93.184.215.14:80 HTTP/1.1\r\n")
    assert "Proxy-Authorization: Basic bWU6cEBzcw==\r\n" in head


def test_an_egress_proxy_does_not_allow_refused_addresses() -> None:
    asked: list[bytes] = []
    with socket_server(proxying(asked, b"HTTP/1.1 200 Connected\r\n\r\n")) as port:
        outbound = OutboundClient(rules=OutboundRules(), resolver=loopback, proxy=f"http://127.0.0.1:{port}")
        with pytest.raises(AddressRefused):
            post(outbound, "http://inside.example/")
    assert asked == []


@pytest.mark.parametrize("answer", [b"HTTP/1.1 403 Forbidden\r\n\r\n", b"", b"x" * 9000])
def test_an_egress_proxy_that_refuses_is_a_failure(answer: bytes) -> None:
    with socket_server(proxying([], answer)) as port:
        outbound = OutboundClient(
            rules=OutboundRules(),
            resolver=lambda *_: ["93.184.215.14"],
            proxy=f"http://127.0.0.1:{port}",
        )
        with pytest.raises(Unreachable):
            post(outbound, "http://good.example/")

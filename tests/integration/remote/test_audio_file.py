"""Fetches remote files over real sockets: how much is fetched, and how bad responses end."""

import itertools
import os
import random
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import pytest

from shared.errors import KammertonError, SourceRefused, SourceUnavailable, TooComplex, Undecodable
from shared.outbound.address_rules import OutboundRules, parse_networks
from shared.outbound.client import OutboundClient
from tests.support.audio_servers import long_wav, ranged, requested_range, serve_ranges, whole
from tests.support.webhook_receivers import (
    Answers,
    ReceivedRequest,
    Reply,
    hang,
    running_receiver,
    socket_server,
    trickle,
)
from tests.unit.shared.outbound.test_address_rules import HOSTILE, OUTBOUND
from worker.decoding.decode import decode
from worker.remote.audio_file import FIRST_RANGE_BYTES, MAX_RANGE_BYTES, fetch
from worker.remote.fetcher import RemoteLimits

MIB = 1024 * 1024
LOOPBACK_RULES = OutboundRules(networks=parse_networks("127.0.0.0/8"))
AUDIO = b"fLaC" + random.Random(5).randbytes(3 * MIB)
ETAG = {"ETag": '"v1"'}


class FetchAttempt:
    """One attempt to fetch a URL."""

    def __init__(self, outbound: OutboundClient | None = None, **limits: Any) -> None:
        self.outbound = outbound or OutboundClient(rules=LOOPBACK_RULES)
        fields: dict[str, Any] = {
            "max_file_bytes": 1 << 40,
            "read_bytes": 1 << 30,
            "spool_bytes": 4 * MIB,
            "timeout_seconds": 30.0,
            "idle_timeout_seconds": 10.0,
            "allow_http": True,
        }
        self.limits = RemoteLimits(**fields | limits)
        self.fetched = 0

    def count(self, size: int) -> None:
        self.fetched += size

    def read(
        self,
        url: str,
        use: Callable[[BinaryIO], Any] = lambda file: file.read(1 << 30),
        on_tick: Callable[[], None] = lambda: None,
    ) -> Any:
        with fetch(
            url, outbound=self.outbound, limits=self.limits, on_tick=on_tick, on_bytes=self.count
        ) as opened:
            self.size_bytes = opened.size_bytes
            return use(opened.file)

    def problem(self, url: str, **more: Any) -> KammertonError:
        with pytest.raises(KammertonError) as caught:
            self.read(url, **more)
        assert "127.0.0.1" not in caught.value.message
        return caught.value


def read_all(file: BinaryIO) -> bytes:
    pieces = []
    while piece := file.read(100_000):
        pieces.append(piece)
    return b"".join(pieces)


def read_at_random_offsets(file: BinaryIO) -> None:
    """Compare reads at random offsets."""
    rng = random.Random(1)
    size_bytes = file.seek(0, os.SEEK_END)
    assert size_bytes == len(AUDIO)
    for _ in range(60):
        offset, size = rng.randrange(size_bytes), rng.randrange(1, 400_000)
        file.seek(offset)
        assert file.read(size) == AUDIO[offset : offset + size]
        assert file.tell() == min(offset + size, size_bytes)


@pytest.mark.parametrize("answers", [serve_ranges(AUDIO, **ETAG), serve_ranges(AUDIO), whole(AUDIO)])
def test_reads_at_any_offset_return_the_bytes_of_the_file(answers: Answers) -> None:
    with running_receiver(answers) as server:
        FetchAttempt().read(server.url, read_at_random_offsets)
        attempt = FetchAttempt()
        assert attempt.read(server.url, read_all) == AUDIO
    assert (attempt.size_bytes, attempt.fetched) == (len(AUDIO), len(AUDIO))


def test_only_the_needed_part_of_a_long_recording_is_fetched() -> None:
    read, size = long_wav(seconds=1200)
    minute = 60 * 44_100 * 4
    with running_receiver(ranged(read, size, **ETAG)) as server:
        attempt = FetchAttempt()
        recording = attempt.read(
            server.url, lambda file: decode(file, start_seconds=600.0, window_seconds=60.0)
        )
    assert size > 200_000_000
    assert recording.seconds == pytest.approx(60)
    asked = [requested_range(got) for got in server.requests]
    sent = sum(last - first + 1 for first, last in filter(None, asked))
    assert attempt.fetched <= sent < minute + FIRST_RANGE_BYTES + 2 * MAX_RANGE_BYTES
    assert len(asked) < minute / MAX_RANGE_BYTES + 6
    assert all(got.headers["if-range"] == '"v1"' for got in server.requests[1:])


def test_sequential_reads_fetch_larger_ranges() -> None:
    with running_receiver(serve_ranges(AUDIO)) as server:
        FetchAttempt().read(server.url, read_all)
    sizes = [last - first + 1 for first, last in filter(None, map(requested_range, server.requests))]
    assert sizes[:4] == [FIRST_RANGE_BYTES, 2 * FIRST_RANGE_BYTES, MAX_RANGE_BYTES, MAX_RANGE_BYTES]


def test_without_range_support_a_file_is_fetched_as_far_as_it_is_read_up_to_the_limit() -> None:
    with running_receiver(whole(AUDIO)) as server:
        attempt = FetchAttempt(spool_bytes=MIB)
        assert attempt.read(server.url, lambda file: file.read(200_000)) == AUDIO[:200_000]
        assert attempt.fetched < 400_000
        attempt = FetchAttempt(spool_bytes=MIB)
        assert attempt.read(server.url, read_all) == AUDIO[:MIB]
        assert attempt.fetched < MIB + 100_000
    assert attempt.size_bytes == len(AUDIO)
    assert len(server.requests) == 2


def chunked(pieces: Sequence[bytes], *head: str) -> Callable[[socket.socket], None]:
    def serve(connected: socket.socket) -> None:
        connected.recv(65536)
        lines = ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", *head, "", ""]
        connected.sendall("\r\n".join(lines).encode())
        for piece in (*pieces, b""):
            connected.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")

    return serve


def test_a_response_without_content_length_is_measured() -> None:
    with socket_server(chunked([AUDIO[:50_000]] * 3)) as port:
        assert len(FetchAttempt().read(f"http://127.0.0.1:{port}/", read_all)) == 150_000


def test_an_endless_response_is_stored_up_to_the_limit() -> None:
    with socket_server(chunked([AUDIO[:MIB]] * 1000)) as port:
        attempt = FetchAttempt(spool_bytes=2 * MIB)
        assert len(attempt.read(f"http://127.0.0.1:{port}/", read_all)) == 2 * MIB
    assert attempt.fetched < 2 * MIB + 100_000


def test_the_error_says_if_a_file_was_truncated() -> None:
    def fail(_: BinaryIO) -> None:
        raise Undecodable("No decoder finds audio.", code="undecodable")

    with running_receiver(whole(AUDIO)) as server:
        problem = FetchAttempt(spool_bytes=MIB).problem(server.url, use=fail)
        assert problem.code == "undecodable"
        assert "only the first 1,048,576 bytes" in problem.message
        assert FetchAttempt().problem(server.url, use=fail).message == "No decoder finds audio."


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (204, "source_bad_answer"),
        (301, "source_redirects"),
        (302, "source_redirects"),
        (307, "source_redirects"),
        (400, "source_refused"),
        (401, "source_forbidden"),
        (403, "source_forbidden"),
        (404, "source_not_found"),
        (410, "source_not_found"),
        (451, "source_refused"),
    ],
)
def test_a_status_that_is_not_a_file_fails_the_job_at_once(status: int, code: str) -> None:
    with (
        running_receiver() as secret,
        running_receiver(lambda _: (status, {"Location": secret.url}, b"")) as server,
    ):
        problem = FetchAttempt().problem(server.url)
    assert isinstance(problem, SourceRefused)
    assert (problem.code, problem.retryable) == (code, False)
    assert secret.requests == []
    if code == "source_redirects":
        assert "Use the final URL" in problem.message


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_busy_server_is_retried_after_its_retry_after(status: int) -> None:
    with running_receiver(lambda _: (status, {"Retry-After": "77"}, b"busy")) as server:
        problem = FetchAttempt().problem(server.url)
    assert isinstance(problem, SourceUnavailable)
    assert (problem.code, problem.retry_after_seconds) == ("source_away", 77)
    with running_receiver(lambda _: (status, {"Retry-After": "999999"}, b"busy")) as server:
        problem = FetchAttempt().problem(server.url)
    assert isinstance(problem, SourceUnavailable)
    assert problem.retry_after_seconds == 3600


def test_a_closed_port_is_retried() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert isinstance(FetchAttempt().problem(f"http://127.0.0.1:{port}/"), SourceUnavailable)


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        (whole(b"<!doctype html><title>Log in</title>" + b" " * 5000), "unsupported_media"),
        (serve_ranges(b"<!doctype html><title>Log in</title>" + b" " * 500_000), "unsupported_media"),
        (whole(b"\x89PNG\r\n\x1a\n" + bytes(5000)), "unsupported_media"),
        (whole(b""), "no_audio"),
        (serve_ranges(b""), "no_audio"),
        (whole(AUDIO, {"Content-Encoding": "gzip"}), "source_bad_answer"),
        (serve_ranges(AUDIO, **{"Content-Encoding": "br"}), "source_bad_answer"),
        (lambda _: (206, {}, AUDIO[:FIRST_RANGE_BYTES]), "source_bad_answer"),
        (lambda _: (206, {"Content-Range": "bytes 0-9/*"}, AUDIO[:10]), "source_bad_answer"),
        (lambda _: (206, {"Content-Range": "bytes 5-14/100"}, AUDIO[:10]), "source_bad_answer"),
        (lambda _: (206, {"Content-Range": "bytes 0-9/5"}, AUDIO[:10]), "source_bad_answer"),
        (lambda _: (206, {"Content-Range": "bytes 9-0/100"}, AUDIO[:10]), "source_bad_answer"),
        (lambda _: (206, {"Content-Range": "bytes 0-9/100"}, AUDIO[:20]), "source_bad_answer"),
        (lambda _: (206, {"Content-Range": "bytes 0-999999/1000000"}, AUDIO[:MIB]), "source_bad_answer"),
        (lambda _: (206, {"Content-Range": "bytes 0-٩/100"}, AUDIO[:10]), "source_bad_answer"),
        (
            lambda _: (206, {"Content-Type": "multipart/byteranges; boundary=x"}, AUDIO[:10]),
            "source_bad_answer",
        ),
    ],
)
def test_other_content_and_inconsistent_responses_are_rejected(answers: Answers, code: str) -> None:
    def encodable(got: ReceivedRequest) -> Reply:
        status, headers, body = answers(got)
        return status, {name: value.encode().decode("latin-1") for name, value in headers.items()}, body

    with running_receiver(encodable) as server:
        problem = FetchAttempt().problem(server.url)
    assert (problem.code, len(server.requests)) == (code, 1)


def test_a_file_above_the_size_limit_is_rejected_by_its_declared_length() -> None:
    read, size = long_wav(seconds=100)
    for answers in (ranged(read, size), whole(AUDIO)):
        with running_receiver(answers) as server:
            problem = FetchAttempt(max_file_bytes=MIB).problem(server.url)
        assert problem.code == "too_large"
        assert "1,048,576" in problem.message


def test_a_decoder_that_reads_too_much_is_stopped() -> None:
    with running_receiver(serve_ranges(AUDIO)) as server:
        attempt = FetchAttempt(read_bytes=MIB)
        assert isinstance(attempt.problem(server.url, use=read_all), TooComplex)
    assert attempt.fetched <= MIB


def then(first: Answers, later: Answers) -> Answers:
    """Answer the first request with *first* and all others with *later*."""
    turn = itertools.chain([first], itertools.repeat(later))
    return lambda got: next(turn)(got)


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        (serve_ranges(AUDIO, **ETAG), serve_ranges(AUDIO, ETag='"v2"'), "source_changed"),
        (serve_ranges(AUDIO, **ETAG), whole(AUDIO, {"ETag": '"v2"'}), "source_changed"),
        (serve_ranges(AUDIO, ETag='W/"v1"'), serve_ranges(AUDIO, ETag='W/"v2"'), "source_changed"),
        (serve_ranges(AUDIO), serve_ranges(AUDIO + b"more"), "source_changed"),
        (serve_ranges(AUDIO), serve_ranges(AUDIO[:1000]), "source_changed"),
        (serve_ranges(AUDIO, **ETAG), lambda _: (404, {}, b""), "source_changed"),
        (
            serve_ranges(AUDIO, **{"Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT"}),
            whole(AUDIO, {"Last-Modified": "Sun, 22 Nov 2026 10:00:00 GMT"}),
            "source_changed",
        ),
        (serve_ranges(AUDIO), whole(AUDIO), "source_bad_answer"),
        (serve_ranges(AUDIO), lambda _: (206, {"Content-Range": f"bytes 0-9/{len(AUDIO)}"}, b"x" * 10),
         "source_bad_answer"),
        (serve_ranges(AUDIO), lambda _: (302, {}, b""), "source_redirects"),
        (serve_ranges(AUDIO), lambda _: (503, {}, b""), "source_away"),
    ],
)  # fmt: skip
def test_a_server_that_changes_its_responses_during_a_read_ends_the_attempt(
    before: Answers, after: Answers, code: str
) -> None:
    with running_receiver(then(before, after)) as server:
        problem = FetchAttempt().problem(server.url, use=read_all)
    assert (problem.code, len(server.requests)) == (code, 2)
    if isinstance(problem, SourceRefused):
        assert problem.retryable == (code == "source_changed")


def test_a_weak_etag_is_not_sent_in_if_range() -> None:
    with running_receiver(serve_ranges(AUDIO, ETag='W/"v1"')) as server:
        assert FetchAttempt().read(server.url, read_all) == AUDIO
    assert not any("if-range" in got.headers for got in server.requests)


def test_a_server_that_sends_shorter_ranges_is_read_to_the_end() -> None:
    def short_ranges(got: ReceivedRequest) -> Reply:
        first, last = requested_range(got) or (0, 0)
        last = min(last, first + 99_999, len(AUDIO) - 1)
        return 206, {"Content-Range": f"bytes {first}-{last}/{len(AUDIO)}"}, AUDIO[first : last + 1]

    with running_receiver(short_ranges) as server:
        assert FetchAttempt().read(server.url, read_all) == AUDIO


def respond_and_close(*parts: bytes) -> Callable[[socket.socket], None]:
    """Send *parts* and disconnect."""

    def serve(connected: socket.socket) -> None:
        connected.recv(65536)
        for part in parts:
            connected.sendall(part)

    return serve


def respond_and_hang(response: bytes) -> Callable[[socket.socket], None]:
    def serve(connected: socket.socket) -> None:
        connected.recv(65536)
        connected.sendall(response)
        hang(connected)

    return serve


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"


@pytest.mark.parametrize(
    "serve",
    [
        hang,
        trickle,
        respond_and_hang(HEAD + AUDIO[:5000]),
        respond_and_close(HEAD + AUDIO[:5000]),
        respond_and_close(b"SSH-2.0-OpenSSH_9.9\r\n"),
        respond_and_close(b""),
        respond_and_close(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n" + AUDIO[:5000]),
    ],
)
def test_a_server_that_hangs_disconnects_or_does_not_speak_http_is_retried(
    serve: Callable[[socket.socket], None],
) -> None:
    with socket_server(serve) as port:
        problem = FetchAttempt(idle_timeout_seconds=0.3).problem(f"http://127.0.0.1:{port}/", use=read_all)
    assert isinstance(problem, SourceUnavailable), problem
    assert problem.code == "source_away"


def test_a_server_that_trickles_bytes_is_too_slow() -> None:
    def serve(connected: socket.socket) -> None:
        connected.recv(65536)
        connected.sendall(HEAD + b"fLaC")
        while True:
            connected.sendall(b"x")
            threading.Event().wait(0.02)

    with socket_server(serve) as port:
        problem = FetchAttempt(timeout_seconds=0.5).problem(f"http://127.0.0.1:{port}/")
    assert isinstance(problem, SourceRefused)
    assert (problem.code, problem.retryable) == ("source_too_slow", True)


def test_the_time_of_the_decoder_does_not_count_as_waiting() -> None:
    def read_slowly(file: BinaryIO) -> bytes:
        head = file.read(300_000)
        threading.Event().wait(0.6)
        return head + read_all(file)

    for answers in (serve_ranges(AUDIO), whole(AUDIO)):
        with running_receiver(answers) as server:
            assert (
                FetchAttempt(idle_timeout_seconds=0.5, timeout_seconds=30).read(server.url, read_slowly)
                == AUDIO
            )


class Canceled(Exception):
    pass


@pytest.mark.parametrize(
    ("scheme", "response", "received"),
    [
        ("https", b"", 0),
        ("http", b"", 0),
        ("http", b"HTTP/1.1 200 OK\r\n", 0),
        ("http", HEAD, 0),
        ("http", HEAD + AUDIO[:5000], 5000),
    ],
)
def test_a_cancel_stops_a_fetch_at_any_point(scheme: str, response: bytes, received: int) -> None:
    reached = threading.Event()
    attempt = FetchAttempt(timeout_seconds=300, idle_timeout_seconds=300)

    def serve(connected: socket.socket) -> None:
        connected.recv(65536)
        connected.sendall(response)
        reached.set()
        hang(connected)

    def on_tick() -> None:
        if reached.is_set() and attempt.fetched >= received:
            raise Canceled

    with socket_server(serve) as port, pytest.raises(Canceled):
        attempt.read(f"{scheme}://127.0.0.1:{port}/", read_all, on_tick)


def test_a_cancel_stops_a_name_lookup() -> None:
    asked, over = threading.Event(), threading.Event()

    def hanging_resolver(host: str, port: int) -> Sequence[str]:
        asked.set()
        over.wait(30)
        return []

    def on_tick() -> None:
        if asked.is_set():
            raise Canceled

    with pytest.raises(Canceled):
        FetchAttempt(
            OutboundClient(rules=LOOPBACK_RULES, resolver=hanging_resolver),
            timeout_seconds=300,
            idle_timeout_seconds=300,
        ).read("http://slow.example/", on_tick=on_tick)
    over.set()


@pytest.mark.parametrize("url", HOSTILE)
def test_forbidden_urls_are_not_requested_by_an_attempt(url: str) -> None:
    problem = FetchAttempt(OUTBOUND, allow_http=False).problem(url)
    assert isinstance(problem, SourceUnavailable)
    assert problem.code == "address_refused"


def test_a_name_that_became_private_after_submission_is_not_requested() -> None:
    answers = itertools.chain([["93.184.215.14"]], itertools.repeat(["127.0.0.1"]))
    with running_receiver(serve_ranges(AUDIO)) as server:
        outbound = OutboundClient(rules=OutboundRules(), resolver=lambda *_: next(answers))
        assert str(outbound.check("https://rebind.example/song")) == "https://rebind.example/song"
        problem = FetchAttempt(outbound).problem(f"https://rebind.example:{server.port}/song")
    assert problem.code == "address_refused"
    assert server.requests == []


def test_a_name_that_becomes_private_between_two_ranges_is_not_requested_again() -> None:
    answers = itertools.chain([["127.0.0.1"]], itertools.repeat(["10.0.0.1"]))
    with running_receiver(serve_ranges(AUDIO)) as server:
        outbound = OutboundClient(rules=LOOPBACK_RULES, resolver=lambda *_: next(answers))
        problem = FetchAttempt(outbound).problem(f"http://rebind.example:{server.port}/song", use=read_all)
    assert (problem.code, len(server.requests)) == ("address_refused", 1)


def test_plain_http_is_requested_only_if_allowed() -> None:
    with running_receiver(serve_ranges(AUDIO)) as server:
        assert FetchAttempt(allow_http=False).problem(server.url).code == "address_refused"
    assert server.requests == []

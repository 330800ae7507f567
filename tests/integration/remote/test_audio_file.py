"""Somebody else's file, over real sockets: what is fetched of it, and what becomes of every bad answer."""

import itertools
import os
import random
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import pytest

from shared.errors import KammertonError, SourceAway, SourceRefused, TooComplex, Undecodable
from shared.outbound.address_rules import OutboundRules, parse_networks
from shared.outbound.client import Outbound
from tests.support.audio_servers import a_long_wav, asked_range, ranged, ranges_of, whole
from tests.support.webhook_receivers import Answers, Got, Reply, a_receiver, a_socket, hang, trickle
from tests.unit.shared.outbound.test_address_rules import HOSTILE, OUTBOUND
from worker.decoding.decode import decode
from worker.remote.audio_file import FIRST_BYTES, MOST_BYTES, fetch
from worker.remote.fetcher import RemoteLimits

MIB = 1024 * 1024
HERE = OutboundRules(networks=parse_networks("127.0.0.0/8"))
SONG = b"fLaC" + random.Random(5).randbytes(3 * MIB)
ETAG = {"ETag": '"v1"'}


class Visit:
    """One attempt to fetch."""

    def __init__(self, outbound: Outbound | None = None, **limits: Any) -> None:
        self.outbound = outbound or Outbound(rules=HERE)
        fields: dict[str, Any] = {
            "whole_bytes": 1 << 40,
            "read_bytes": 1 << 30,
            "spool_bytes": 4 * MIB,
            "seconds": 30.0,
            "silent_seconds": 10.0,
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
            url, outbound=self.outbound, limits=self.limits, on_tick=on_tick, count=self.count
        ) as opened:
            self.size_bytes = opened.size_bytes
            return use(opened.file)

    def problem(self, url: str, **more: Any) -> KammertonError:
        with pytest.raises(KammertonError) as caught:
            self.read(url, **more)
        assert "127.0.0.1" not in caught.value.message
        return caught.value


def all_of(file: BinaryIO) -> bytes:
    pieces = []
    while piece := file.read(100_000):
        pieces.append(piece)
    return b"".join(pieces)


def wander(file: BinaryIO) -> None:
    """Read here and there, and compare."""
    chance = random.Random(1)
    size = file.seek(0, os.SEEK_END)
    assert size == len(SONG)
    for _ in range(60):
        at, most = chance.randrange(size), chance.randrange(1, 400_000)
        file.seek(at)
        assert file.read(most) == SONG[at : at + most]
        assert file.tell() == min(at + most, size)


@pytest.mark.parametrize("answers", [ranges_of(SONG, **ETAG), ranges_of(SONG), whole(SONG)])
def test_a_file_is_read_as_it_is_wherever_one_reads(answers: Answers) -> None:
    with a_receiver(answers) as server:
        Visit().read(server.url, wander)
        visit = Visit()
        assert visit.read(server.url, all_of) == SONG
    assert (visit.size_bytes, visit.fetched) == (len(SONG), len(SONG))


def test_of_a_long_recording_only_what_the_decoder_needs_is_fetched() -> None:
    read, size = a_long_wav(seconds=1200)
    minute = 60 * 44_100 * 4
    with a_receiver(ranged(read, size, **ETAG)) as server:
        visit = Visit()
        recording = visit.read(
            server.url, lambda file: decode(file, start_seconds=600.0, window_seconds=60.0)
        )
    assert size > 200_000_000
    assert recording.seconds == pytest.approx(60)
    asked = [asked_range(got) for got in server.requests]
    sent = sum(last - first + 1 for first, last in filter(None, asked))
    assert visit.fetched <= sent < minute + FIRST_BYTES + 2 * MOST_BYTES
    assert len(asked) < minute / MOST_BYTES + 6
    assert all(got.headers["if-range"] == '"v1"' for got in server.requests[1:])


def test_who_reads_on_is_given_more_and_more_at_once() -> None:
    with a_receiver(ranges_of(SONG)) as server:
        Visit().read(server.url, all_of)
    sizes = [last - first + 1 for first, last in filter(None, map(asked_range, server.requests))]
    assert sizes[:4] == [FIRST_BYTES, 2 * FIRST_BYTES, MOST_BYTES, MOST_BYTES]


def test_without_ranges_the_beginning_is_fetched_as_far_as_it_is_read_and_no_further_than_the_limit() -> None:
    with a_receiver(whole(SONG)) as server:
        visit = Visit(spool_bytes=MIB)
        assert visit.read(server.url, lambda file: file.read(200_000)) == SONG[:200_000]
        assert visit.fetched < 400_000
        visit = Visit(spool_bytes=MIB)
        assert visit.read(server.url, all_of) == SONG[:MIB]
        assert visit.fetched < MIB + 100_000
    assert visit.size_bytes == len(SONG)
    assert len(server.requests) == 2


def chunked(pieces: Sequence[bytes], *head: str) -> Callable[[socket.socket], None]:
    def serve(connected: socket.socket) -> None:
        connected.recv(65536)
        lines = ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", *head, "", ""]
        connected.sendall("\r\n".join(lines).encode())
        for piece in (*pieces, b""):
            connected.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")

    return serve


def test_a_length_that_is_not_told_is_found_out() -> None:
    with a_socket(chunked([SONG[:50_000]] * 3)) as port:
        assert len(Visit().read(f"http://127.0.0.1:{port}/", all_of)) == 150_000


def test_an_answer_without_end_fills_no_more_than_the_limit() -> None:
    with a_socket(chunked([SONG[:MIB]] * 1000)) as port:
        visit = Visit(spool_bytes=2 * MIB)
        assert len(visit.read(f"http://127.0.0.1:{port}/", all_of)) == 2 * MIB
    assert visit.fetched < 2 * MIB + 100_000


def test_what_can_not_be_decoded_for_want_of_its_end_says_so() -> None:
    def fail(_: BinaryIO) -> None:
        raise Undecodable("No decoder finds audio.", code="undecodable")

    with a_receiver(whole(SONG)) as server:
        problem = Visit(spool_bytes=MIB).problem(server.url, use=fail)
        assert problem.code == "undecodable"
        assert "only the first 1,048,576 bytes" in problem.message
        assert Visit().problem(server.url, use=fail).message == "No decoder finds audio."


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
def test_an_answer_that_is_no_file_fails_the_job_at_once(status: int, code: str) -> None:
    with a_receiver() as secret, a_receiver(lambda _: (status, {"Location": secret.url}, b"")) as server:
        problem = Visit().problem(server.url)
    assert isinstance(problem, SourceRefused)
    assert (problem.code, problem.retryable) == (code, False)
    assert secret.requests == []
    if code == "source_redirects":
        assert "give the final one" in problem.message


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_server_that_is_busy_is_away_for_as_long_as_it_says(status: int) -> None:
    with a_receiver(lambda _: (status, {"Retry-After": "77"}, b"busy")) as server:
        problem = Visit().problem(server.url)
    assert isinstance(problem, SourceAway)
    assert (problem.code, problem.retry_after_seconds) == ("source_away", 77)
    with a_receiver(lambda _: (status, {"Retry-After": "999999"}, b"busy")) as server:
        problem = Visit().problem(server.url)
    assert isinstance(problem, SourceAway)
    assert problem.retry_after_seconds == 3600


def test_a_closed_port_is_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert isinstance(Visit().problem(f"http://127.0.0.1:{port}/"), SourceAway)


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        (whole(b"<!doctype html><title>Log in</title>" + b" " * 5000), "unsupported_media"),
        (ranges_of(b"<!doctype html><title>Log in</title>" + b" " * 500_000), "unsupported_media"),
        (whole(b"\x89PNG\r\n\x1a\n" + bytes(5000)), "unsupported_media"),
        (whole(b""), "no_audio"),
        (ranges_of(b""), "no_audio"),
        (whole(SONG, {"Content-Encoding": "gzip"}), "source_bad_answer"),
        (ranges_of(SONG, **{"Content-Encoding": "br"}), "source_bad_answer"),
        (lambda _: (206, {}, SONG[:FIRST_BYTES]), "source_bad_answer"),
        (lambda _: (206, {"Content-Range": "bytes 0-9/*"}, SONG[:10]), "source_bad_answer"),
        (lambda _: (206, {"Content-Range": "bytes 5-14/100"}, SONG[:10]), "source_bad_answer"),
        (lambda _: (206, {"Content-Range": "bytes 0-9/5"}, SONG[:10]), "source_bad_answer"),
        (lambda _: (206, {"Content-Range": "bytes 9-0/100"}, SONG[:10]), "source_bad_answer"),
        (lambda _: (206, {"Content-Range": "bytes 0-9/100"}, SONG[:20]), "source_bad_answer"),
        (lambda _: (206, {"Content-Range": "bytes 0-999999/1000000"}, SONG[:MIB]), "source_bad_answer"),
        (lambda _: (206, {"Content-Range": "bytes 0-٩/100"}, SONG[:10]), "source_bad_answer"),
        (
            lambda _: (206, {"Content-Type": "multipart/byteranges; boundary=x"}, SONG[:10]),
            "source_bad_answer",
        ),
    ],
)
def test_what_is_no_sound_or_no_honest_answer_is_refused(answers: Answers, code: str) -> None:
    def encodable(got: Got) -> Reply:
        status, headers, body = answers(got)
        return status, {name: value.encode().decode("latin-1") for name, value in headers.items()}, body

    with a_receiver(encodable) as server:
        problem = Visit().problem(server.url)
    assert (problem.code, len(server.requests)) == (code, 1)


def test_a_file_beyond_the_limit_is_refused_by_its_length_alone() -> None:
    read, size = a_long_wav(seconds=100)
    for answers in (ranged(read, size), whole(SONG)):
        with a_receiver(answers) as server:
            problem = Visit(whole_bytes=MIB).problem(server.url)
        assert problem.code == "too_large"
        assert "1,048,576" in problem.message


def test_a_decoder_that_wants_too_much_is_stopped() -> None:
    with a_receiver(ranges_of(SONG)) as server:
        visit = Visit(read_bytes=MIB)
        assert isinstance(visit.problem(server.url, use=all_of), TooComplex)
    assert visit.fetched <= MIB


def then(first: Answers, later: Answers) -> Answers:
    """One answer, and other ones from the second request on."""
    turn = itertools.chain([first], itertools.repeat(later))
    return lambda got: next(turn)(got)


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        (ranges_of(SONG, **ETAG), ranges_of(SONG, ETag='"v2"'), "source_changed"),
        (ranges_of(SONG, **ETAG), whole(SONG, {"ETag": '"v2"'}), "source_changed"),
        (ranges_of(SONG, ETag='W/"v1"'), ranges_of(SONG, ETag='W/"v2"'), "source_changed"),
        (ranges_of(SONG), ranges_of(SONG + b"more"), "source_changed"),
        (ranges_of(SONG), ranges_of(SONG[:1000]), "source_changed"),
        (ranges_of(SONG, **ETAG), lambda _: (404, {}, b""), "source_changed"),
        (
            ranges_of(SONG, **{"Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT"}),
            whole(SONG, {"Last-Modified": "Sun, 22 Nov 2026 10:00:00 GMT"}),
            "source_changed",
        ),
        (ranges_of(SONG), whole(SONG), "source_bad_answer"),
        (ranges_of(SONG), lambda _: (206, {"Content-Range": f"bytes 0-9/{len(SONG)}"}, b"x" * 10),
         "source_bad_answer"),
        (ranges_of(SONG), lambda _: (302, {}, b""), "source_redirects"),
        (ranges_of(SONG), lambda _: (503, {}, b""), "source_away"),
    ],
)  # fmt: skip
def test_a_server_that_changes_its_mind_in_mid_read_ends_the_attempt(
    before: Answers, after: Answers, code: str
) -> None:
    with a_receiver(then(before, after)) as server:
        problem = Visit().problem(server.url, use=all_of)
    assert (problem.code, len(server.requests)) == (code, 2)
    if isinstance(problem, SourceRefused):
        assert problem.retryable == (code == "source_changed")


def test_a_weak_tag_is_not_sent_as_a_condition() -> None:
    with a_receiver(ranges_of(SONG, ETag='W/"v1"')) as server:
        assert Visit().read(server.url, all_of) == SONG
    assert not any("if-range" in got.headers for got in server.requests)


def test_a_server_that_gives_less_than_a_range_at_a_time_is_read_on() -> None:
    def stingy(got: Got) -> Reply:
        first, last = asked_range(got) or (0, 0)
        last = min(last, first + 99_999, len(SONG) - 1)
        return 206, {"Content-Range": f"bytes {first}-{last}/{len(SONG)}"}, SONG[first : last + 1]

    with a_receiver(stingy) as server:
        assert Visit().read(server.url, all_of) == SONG


def answering(*parts: bytes) -> Callable[[socket.socket], None]:
    """Say this, and hang up."""

    def serve(connected: socket.socket) -> None:
        connected.recv(65536)
        for part in parts:
            connected.sendall(part)

    return serve


def then_quiet(said: bytes) -> Callable[[socket.socket], None]:
    def serve(connected: socket.socket) -> None:
        connected.recv(65536)
        connected.sendall(said)
        hang(connected)

    return serve


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"


@pytest.mark.parametrize(
    "serve",
    [
        hang,
        trickle,
        then_quiet(HEAD + SONG[:5000]),
        answering(HEAD + SONG[:5000]),
        answering(b"SSH-2.0-OpenSSH_9.9\r\n"),
        answering(b""),
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n" + SONG[:5000]),
    ],
)
def test_a_server_that_hangs_breaks_off_or_speaks_no_http_is_away(
    serve: Callable[[socket.socket], None],
) -> None:
    with a_socket(serve) as port:
        problem = Visit(silent_seconds=0.3).problem(f"http://127.0.0.1:{port}/", use=all_of)
    assert isinstance(problem, SourceAway), problem
    assert problem.code == "source_away"


def test_a_server_that_sends_a_byte_now_and_then_is_too_slow() -> None:
    def serve(connected: socket.socket) -> None:
        connected.recv(65536)
        connected.sendall(HEAD + b"fLaC")
        while True:
            connected.sendall(b"x")
            threading.Event().wait(0.02)

    with a_socket(serve) as port:
        problem = Visit(seconds=0.5).problem(f"http://127.0.0.1:{port}/")
    assert isinstance(problem, SourceRefused)
    assert (problem.code, problem.retryable) == ("source_too_slow", True)


def test_the_time_that_a_decoder_takes_is_not_the_servers() -> None:
    def slowly(file: BinaryIO) -> bytes:
        head = file.read(300_000)
        threading.Event().wait(0.6)
        return head + all_of(file)

    for answers in (ranges_of(SONG), whole(SONG)):
        with a_receiver(answers) as server:
            assert Visit(silent_seconds=0.5, seconds=30).read(server.url, slowly) == SONG


class Canceled(Exception):
    pass


@pytest.mark.parametrize(
    ("scheme", "said", "received"),
    [
        ("https", b"", 0),
        ("http", b"", 0),
        ("http", b"HTTP/1.1 200 OK\r\n", 0),
        ("http", HEAD, 0),
        ("http", HEAD + SONG[:5000], 5000),
    ],
)
def test_a_cancel_ends_a_fetch_wherever_it_stands(scheme: str, said: bytes, received: int) -> None:
    reached = threading.Event()
    visit = Visit(seconds=300, silent_seconds=300)

    def serve(connected: socket.socket) -> None:
        connected.recv(65536)
        connected.sendall(said)
        reached.set()
        hang(connected)

    def on_tick() -> None:
        if reached.is_set() and visit.fetched >= received:
            raise Canceled

    with a_socket(serve) as port, pytest.raises(Canceled):
        visit.read(f"{scheme}://127.0.0.1:{port}/", all_of, on_tick)


def test_a_cancel_ends_the_search_for_a_name() -> None:
    asked, over = threading.Event(), threading.Event()

    def never(host: str, port: int) -> Sequence[str]:
        asked.set()
        over.wait(30)
        return []

    def on_tick() -> None:
        if asked.is_set():
            raise Canceled

    with pytest.raises(Canceled):
        Visit(Outbound(rules=HERE, resolver=never), seconds=300, silent_seconds=300).read(
            "http://slow.example/", on_tick=on_tick
        )
    over.set()


@pytest.mark.parametrize("url", HOSTILE)
def test_what_must_not_be_called_is_not_called_at_an_attempt_either(url: str) -> None:
    problem = Visit(OUTBOUND, allow_http=False).problem(url)
    assert isinstance(problem, SourceAway)
    assert problem.code == "address_refused"


def test_a_name_that_was_public_when_the_job_was_made_and_is_private_now_is_not_called() -> None:
    answers = itertools.chain([["93.184.215.14"]], itertools.repeat(["127.0.0.1"]))
    with a_receiver(ranges_of(SONG)) as server:
        outbound = Outbound(rules=OutboundRules(), resolver=lambda *_: next(answers))
        assert str(outbound.check("https://rebind.example/song")) == "https://rebind.example/song"
        problem = Visit(outbound).problem(f"https://rebind.example:{server.port}/song")
    assert problem.code == "address_refused"
    assert server.requests == []


def test_a_name_that_turns_private_between_two_ranges_is_not_called_again() -> None:
    answers = itertools.chain([["127.0.0.1"]], itertools.repeat(["10.0.0.1"]))
    with a_receiver(ranges_of(SONG)) as server:
        outbound = Outbound(rules=HERE, resolver=lambda *_: next(answers))
        problem = Visit(outbound).problem(f"http://rebind.example:{server.port}/song", use=all_of)
    assert (problem.code, len(server.requests)) == ("address_refused", 1)


def test_plain_http_is_called_only_where_it_is_allowed() -> None:
    with a_receiver(ranges_of(SONG)) as server:
        assert Visit(allow_http=False).problem(server.url).code == "address_refused"
    assert server.requests == []

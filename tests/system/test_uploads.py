"""Uploads through a real API process: early refusals, slow and gone clients, kills."""

import hashlib
import http.client
import json
import random
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.api_process import Api, running_api
from tests.support.servers import S3Server, ValkeyServer

MIB = 1024 * 1024
SONG = b"fLaC" + random.Random(1).randbytes(300_000)
LONG = b"fLaC" + random.Random(2).randbytes(12 * MIB)


@pytest.fixture(scope="module")
def api(valkey: ValkeyServer, s3: S3Server) -> Iterator[Api]:
    settings = {
        "KAMMERTON_MAX_UPLOAD_BYTES": str(64 * MIB),
        "KAMMERTON_UPLOAD_IDLE_TIMEOUT_SECONDS": "1.5",
        "KAMMERTON_UPLOAD_BUFFER_BYTES": str(16 * MIB),
        "KAMMERTON_UPLOAD_WAIT_SECONDS": "30",
        "KAMMERTON_DIRECT_PART_BYTES": str(5 * MIB),
    }
    with running_api(valkey, s3, **settings) as running:
        yield running


def head(size: int, *more: str, content_type: str = "audio/flac") -> bytes:
    lines = ["POST /v1/jobs HTTP/1.1", "Host: x", f"Content-Length: {size}", f"Content-Type: {content_type}"]
    return ("\r\n".join([*lines, *more]) + "\r\n\r\n").encode()


def answer_of(connection: socket.socket) -> http.client.HTTPResponse:
    answer = http.client.HTTPResponse(connection, method="POST")
    answer.begin()
    return answer


EXPECT = "Expect: 100-continue"


@pytest.mark.parametrize(
    ("size", "content_type", "status"),
    [(65 * MIB, "audio/flac", 413), (10**15, "audio/flac", 413)],
)
def test_a_client_that_expects_100_gets_a_refusal_before_it_sends_a_byte(
    api: Api, size: int, content_type: str, status: int
) -> None:
    with api.socket() as connection:
        connection.sendall(head(size, EXPECT, content_type=content_type))
        first = connection.recv(64)
        assert first.startswith(f"HTTP/1.1 {status}".encode())


def test_a_client_that_expects_100_gets_it_and_then_the_job(api: Api) -> None:
    with api.socket() as connection:
        connection.sendall(head(len(SONG), EXPECT))
        assert connection.recv(64).startswith(b"HTTP/1.1 100 ")
        connection.sendall(SONG)
        answer = answer_of(connection)
        job = json.load(answer)
    assert answer.status == 202
    assert job["input"]["sha256"] == hashlib.sha256(SONG).hexdigest()


def gone(api: Api) -> None:
    """Wait until the API is done with every upload, then see that nothing stayed behind."""
    while api.uploads.list_alive():
        time.sleep(0.02)
    assert {key for key, unfinished in api.stored()} <= api.accepted()
    assert not any(unfinished for _, unfinished in api.stored())


@pytest.mark.parametrize("sent", [0, 10, 6 * MIB])
def test_a_client_that_stalls_gets_408_and_leaves_nothing(api: Api, sent: int) -> None:
    with api.socket() as connection:
        connection.sendall(head(len(LONG)) + LONG[:sent])
        answer = answer_of(connection)
        problem = json.load(answer)
        assert (answer.status, problem["code"]) == (408, "upload_stalled")
        assert answer.headers["connection"] == "close"
        assert connection.recv(1) == b""
    gone(api)


def test_a_client_that_sends_a_byte_at_a_time_gets_408(api: Api) -> None:
    with api.socket() as connection:
        connection.sendall(head(len(LONG)))
        connection.settimeout(0.1)
        received = b""
        for at in range(1000):
            try:
                connection.sendall(LONG[at : at + 1])
                received = connection.recv(100)
            except TimeoutError:
                continue
            except OSError:
                break
            break
        assert received.startswith(b"HTTP/1.1 408 ")
    gone(api)


def test_a_client_that_hangs_up_leaves_nothing(api: Api) -> None:
    before = api.accepted()
    for sent in (0, 3, 5000, 5 * MIB, 11 * MIB):
        with api.socket() as connection:
            connection.sendall(head(len(LONG)) + LONG[:sent])
    gone(api)
    assert api.accepted() == before


def in_threads(count: int, work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_stalled_clients_do_not_stop_honest_clients(api: Api) -> None:
    """Each stalled one has sent what a whole budget's share would take."""
    stop = threading.Event()

    def stall(number: int) -> None:
        with api.socket() as connection:
            connection.sendall(head(len(LONG)) + LONG[: (number % 5) * MIB])
            stop.wait(20)

    stalled = [threading.Thread(target=stall, args=[number]) for number in range(20)]
    for thread in stalled:
        thread.start()
    statuses: list[int] = []
    in_threads(
        5, lambda _: statuses.append(httpx2.post(f"{api.url}/v1/jobs", content=LONG, timeout=60).status_code)
    )
    stop.set()
    for thread in stalled:
        thread.join()
    assert statuses == [202] * 5
    gone(api)


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("song") / "song.flac"
    path.write_bytes(LONG)
    return path


def curl(*args: str) -> Callable[[str, Path], Any]:
    def send(url: str, path: Path) -> Any:
        filled = [arg.format(path=path) for arg in args]
        return json.loads(subprocess.check_output(["curl", "-sS", "-m", "60", *filled, url]))

    return send


def directly(url: str, path: Path) -> Any:
    options = {"bytes": len(LONG), "media_type": "audio/flac", "filename": "song.flac"}
    offer = httpx2.post(url.replace("/jobs", "/uploads"), json=options).json()
    for request in offer["requests"]:
        body = LONG[request["first_byte"] :][: request["bytes"]]
        httpx2.put(request["url"], content=body, headers=request["headers"]).raise_for_status()
    return httpx2.post(url, json={"upload_id": offer["upload_id"]}).json()


WAYS: dict[str, Callable[[str, Path], Any]] = {
    "chunked": curl("-X", "POST", "-T", "{path}", "-H", "Transfer-Encoding: chunked"),
    "a form, with Expect": curl("-F", "file=@{path}", "-H", "Expect: 100-continue"),
    "parts straight to storage": directly,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_file_of_several_parts_is_stored_as_it_was_sent(api: Api, way: str, song: Path) -> None:
    job = WAYS[way](f"{api.url}/v1/jobs", song)
    assert (job["state"], job["input"]["bytes"]) == ("queued", len(LONG))
    if "straight" not in way:
        assert job["input"]["sha256"] == hashlib.sha256(LONG).hexdigest()
    with api.audio.open(job["id"]) as stored:
        assert stored.read() == LONG


def test_storage_has_exactly_the_accepted_audio_after_kills_of_clients_and_the_api(api: Api) -> None:
    chance = random.Random(5)
    said_yes: list[str] = []
    orphaned: set[str] = set()

    def one(_: int) -> None:
        cut = chance.choice([None, chance.randrange(len(LONG))])
        try:
            with api.socket() as connection:
                connection.sendall(head(len(LONG)))
                for at in range(0, cut or len(LONG), 256 * 1024):
                    connection.sendall(LONG[at : min(at + 256 * 1024, cut or len(LONG))])
                if cut is None:
                    answer = answer_of(connection)
                    if answer.status == 202:
                        said_yes.append(json.load(answer)["id"])
        except (OSError, http.client.HTTPException, ValueError):
            pass  # the API died under this client

    for _ in range(2):
        clients = [threading.Thread(target=one, args=[number]) for number in range(8)]
        for client in clients:
            client.start()
        time.sleep(chance.uniform(0.05, 0.6))
        api.server.kill()
        for client in clients:
            client.join()
        orphaned |= {upload.id for upload in api.uploads.list_alive()}
        api.server.start()
    in_threads(6, one)
    while {upload.id for upload in api.uploads.list_alive()} - orphaned:
        time.sleep(0.02)
    for upload_id in orphaned:
        api.uploads.deregister(upload_id)  # as half a minute does
    left = api.rescued()
    accepted = api.accepted()
    assert set(said_yes) <= accepted
    assert left == {(job_id, False) for job_id in accepted}

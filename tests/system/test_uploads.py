"""Uploads through a real API process: early refusals, slow and gone clients, kills, common clients."""

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
import requests

from tests.servers import S3Server, ValkeyServer
from tests.system.an_api import Api, an_api

MIB = 1024 * 1024
SONG = b"fLaC" + random.Random(1).randbytes(300_000)
LONG = b"fLaC" + random.Random(2).randbytes(12 * MIB)


@pytest.fixture(scope="module")
def api(valkey: ValkeyServer, s3: S3Server) -> Iterator[Api]:
    settings = {
        "KAMMERTON_MAX_UPLOAD_BYTES": str(64 * MIB),
        "KAMMERTON_UPLOAD_IDLE_SECONDS": "1.5",
        "KAMMERTON_UPLOAD_BUFFER_BYTES": str(16 * MIB),
        "KAMMERTON_UPLOAD_WAIT_SECONDS": "30",
        "KAMMERTON_DIRECT_PART_BYTES": str(5 * MIB),
    }
    with an_api(valkey, s3, **settings) as running:
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
    [(65 * MIB, "audio/flac", 413), (10**15, "audio/flac", 413), (1000, "image/png", 415)],
)
def test_who_expects_100_learns_of_a_refusal_before_sending_a_byte(
    api: Api, size: int, content_type: str, status: int
) -> None:
    with api.socket() as connection:
        connection.sendall(head(size, EXPECT, content_type=content_type))
        first = connection.recv(64)
        assert first.startswith(f"HTTP/1.1 {status}".encode())


def test_who_expects_100_and_may_send_gets_it_and_then_the_job(api: Api) -> None:
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
    while api.uploads.alive():
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


def test_stalled_clients_do_not_keep_honest_ones_from_uploading(api: Api) -> None:
    """Each stalled one has sent what a whole budget's share would take."""
    stop = threading.Event()

    def stall(number: int) -> None:
        with api.socket() as connection:
            connection.sendall(head(len(LONG)) + LONG[: (number % 5) * MIB])
            stop.wait(20)

    stalled = [threading.Thread(target=stall, args=[number]) for number in range(30)]
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


def test_whenever_clients_and_the_api_are_killed_storage_ends_with_the_accepted_jobs_audio(
    valkey: ValkeyServer, s3: S3Server
) -> None:
    chance = random.Random(5)
    with an_api(valkey, s3) as api:
        said_yes: list[str] = []

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
            api.server.start()
        in_threads(6, one)
        while any(upload.seen_at > time.time() - 6 for upload in api.uploads.alive()):
            time.sleep(0.1)
        for upload in api.uploads.alive():
            api.uploads.leave(upload.id)  # as half a minute does
        left = api.rescued()
        accepted = api.accepted()
        assert set(said_yes) <= accepted
        assert left == {(job_id, False) for job_id in accepted}


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


def with_requests_form(url: str, path: Path) -> Any:
    with path.open("rb") as file:
        return requests.post(url, files={"file": ("song.flac", file, "audio/flac")}, timeout=60).json()


def with_requests_stream(url: str, path: Path) -> Any:
    with path.open("rb") as file:
        return requests.post(url, data=iter(lambda: file.read(100_000), b""), timeout=60).json()


def with_httpx2_form(url: str, path: Path) -> Any:
    with path.open("rb") as file:
        return httpx2.post(url, files={"file": file}, timeout=60).json()


def directly(url: str, path: Path) -> Any:
    wish = {"bytes": len(LONG), "media_type": "audio/flac", "filename": "song.flac"}
    offer = httpx2.post(url.replace("/jobs", "/uploads"), json=wish).json()
    for request in offer["requests"]:
        body = LONG[request["first_byte"] :][: request["bytes"]]
        httpx2.put(request["url"], content=body, headers=request["headers"]).raise_for_status()
    return httpx2.post(url, json={"upload_id": offer["upload_id"]}).json()


def directly_with_a_form(url: str, path: Path) -> Any:
    wish = {"bytes": len(SONG), "media_type": "audio/flac"}
    offer = httpx2.post(url.replace("/jobs", "/uploads"), json=wish).json()
    form = offer["form"]
    httpx2.post(form["url"], data=form["fields"], files={"file": SONG}).raise_for_status()
    return httpx2.post(url, json={"upload_id": offer["upload_id"]}).json()


CLIENTS: dict[str, Callable[[str, Path], Any]] = {
    "curl -T": curl("-X", "POST", "-T", "{path}"),
    "curl -T chunked": curl("-X", "POST", "-T", "{path}", "-H", "Transfer-Encoding: chunked"),
    "curl -F": curl("-F", "file=@{path}"),
    "curl -F with Expect": curl("-F", "file=@{path}", "-H", "Expect: 100-continue"),
    "curl --data-binary": curl("--data-binary", "@{path}", "-H", "Content-Type: audio/flac"),
    "requests form": with_requests_form,
    "requests stream": with_requests_stream,
    "httpx2 form": with_httpx2_form,
    "parts straight to storage": directly,
    "a form straight to storage": directly_with_a_form,
}


@pytest.mark.parametrize("client", CLIENTS)
def test_common_clients_upload_a_song_as_it_is(api: Api, client: str, song: Path) -> None:
    job = CLIENTS[client](f"{api.url}/v1/jobs", song)
    sent = SONG if "form straight" in client else LONG
    assert (job["state"], job["input"]["bytes"]) == ("queued", len(sent))
    if "straight" not in client:
        assert job["input"]["sha256"] == hashlib.sha256(sent).hexdigest()
    with api.audio.open(job["id"]) as stored:
        assert hashlib.sha256(stored.read()).digest() == hashlib.sha256(sent).digest()

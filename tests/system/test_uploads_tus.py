"""Resumable uploads with clients that others wrote, and with an API that is killed meanwhile."""

import json
import random
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tusclient.client import TusClient

from tests.support.api_process import Api, running_api
from tests.support.s3_proxy import RefusingProxy, refusing_s3_proxy
from tests.support.servers import S3Server, ValkeyServer

MIB = 1024 * 1024
SONG = b"fLaC" + random.Random(7).randbytes(13 * MIB)
SHORT = SONG[:300_000]
TUS = {"Tus-Resumable": "1.0.0"}
CHUNK = TUS | {"Content-Type": "application/offset+octet-stream"}
JS = Path(__file__).parent / "tus_client.mjs"


@pytest.fixture(scope="module")
def storage(s3: S3Server) -> Iterator[RefusingProxy]:
    with refusing_s3_proxy(s3) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def api(valkey: ValkeyServer, s3: S3Server, storage: RefusingProxy) -> Iterator[Api]:
    with running_api(valkey, s3, KAMMERTON_S3_ENDPOINT_URL=storage.url) as running:
        yield running


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("song") / "söng.flac"
    path.write_bytes(SONG)
    return path


def begun(api: Api, length: int) -> str:
    created = httpx2.post(f"{api.url}/v1/tus", headers=TUS | {"Upload-Length": str(length)})
    return str(api.url + created.headers["location"])


def patch(url: str, offset: int, data: bytes) -> int:
    headers = CHUNK | {"Upload-Offset": str(offset)}
    return int(httpx2.patch(url, content=data, headers=headers, timeout=60).status_code)


def offset_of(url: str) -> int:
    answer = httpx2.head(url, headers=TUS)
    assert answer.status_code == 200
    return int(answer.headers["upload-offset"])


def arrived_whole(api: Api, url: str, song: bytes = SONG) -> None:
    job_id = url.rpartition("/")[2]
    job = httpx2.get(f"{api.url}/v1/jobs/{job_id}").json()
    assert (job["state"], job["input"]["bytes"]) == ("queued", len(song))
    with api.audio.open(job_id) as stored:
        assert stored.read() == song
    assert api.stored() == {(each, False) for each in api.accepted()}


@pytest.mark.parametrize("chunk", [3_333_333, 100 * MIB])
def test_the_unmodified_tuspy_uploads(api: Api, song: Path, chunk: int) -> None:
    with song.open("rb") as file:
        uploader = TusClient(f"{api.url}/v1/tus").uploader(
            file_stream=file, chunk_size=chunk, metadata={"filename": "söng.flac", "filetype": "audio/flac"}
        )
        uploader.upload()
    arrived_whole(api, str(uploader.url))


def test_tuspy_resumes_after_the_api_was_killed(api: Api, song: Path) -> None:
    client = TusClient(f"{api.url}/v1/tus")
    with song.open("rb") as file:
        uploader = client.uploader(file_stream=file, chunk_size=4 * MIB)
        uploader.upload(stop_at=8 * MIB)
        api.server.kill()
        api.server.start()
        again = client.uploader(file_stream=file, chunk_size=4 * MIB, url=uploader.url)
        assert again.offset == 8 * MIB
        again.upload()
    arrived_whole(api, str(uploader.url))


def test_an_api_killed_in_the_middle_of_a_request_keeps_its_full_parts(api: Api) -> None:
    url = begun(api, len(SONG))

    def body() -> Iterator[bytes]:
        for at in range(0, 12 * MIB, MIB):
            yield SONG[at : at + MIB]
        while httpx2.head(url, headers=TUS).headers["upload-offset"] == "0":
            pass
        api.server.kill()
        yield SONG[12 * MIB :]

    with pytest.raises(httpx2.TransportError):
        httpx2.patch(url, content=body(), headers=CHUNK | {"Upload-Offset": "0"}, timeout=60)
    api.server.start()
    offset = offset_of(url)
    assert offset in (5 * MIB, 10 * MIB)
    assert patch(url, offset, SONG[offset:]) == 204
    arrived_whole(api, url)


def test_a_connection_cut_in_the_middle_loses_no_received_byte(api: Api) -> None:
    url = begun(api, len(SONG))
    path = url.removeprefix(api.url)
    head = f"PATCH {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(SONG)}\r\nUpload-Offset: 0\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in CHUNK.items())
    with api.socket() as connection:
        connection.sendall(head.encode() + b"\r\n" + SONG[: 7 * MIB])
    while api.uploads.list_alive():
        pass
    offset = offset_of(url)
    assert 5 * MIB < offset <= 7 * MIB
    assert patch(url, offset, SONG[offset:]) == 204
    arrived_whole(api, url)


@pytest.mark.parametrize("chunk", [4 * MIB, 0], ids=["chunks", "one request"])
def test_the_unmodified_tus_js_client_uploads_and_resumes(
    api: Api, song: Path, chunk: int, node_modules: Path
) -> None:
    command = ["node", str(JS), str(node_modules), f"{api.url}/v1/tus", str(song), str(chunk)]
    url = subprocess.check_output(command, text=True, timeout=120).strip()
    arrived_whole(api, url)


def test_tus_js_client_sends_the_first_bytes_with_the_creation(
    api: Api, song: Path, node_modules: Path
) -> None:
    options = json.dumps({"uploadDataDuringCreation": True, "endpoint": f"{api.url}/v1/tus/"})
    # In chunks: the script aborts half-way, and a client that aborts its creation has no URL to resume.
    command = ["node", str(JS), str(node_modules), "unused", str(song), str(4 * MIB), options]
    url = subprocess.check_output(command, text=True, timeout=120).strip()
    arrived_whole(api, url)


def test_tus_js_client_is_told_that_parallel_uploads_are_not_supported(
    api: Api, song: Path, node_modules: Path
) -> None:
    before = api.accepted()
    options = json.dumps({"parallelUploads": 2, "uploadSize": None, "retryDelays": None})
    command = ["node", str(JS), str(node_modules), f"{api.url}/v1/tus", str(song), "0", options]
    result = subprocess.run(command, text=True, timeout=120, capture_output=True)
    assert result.returncode == 1
    assert "Upload-Concat is not supported" in result.stderr
    assert api.accepted() == before


def test_tuspy_has_its_checksums_verified(api: Api, song: Path) -> None:
    with song.open("rb") as file:
        client = TusClient(f"{api.url}/v1/tus/")
        uploader = client.uploader(file_stream=file, chunk_size=6 * MIB, upload_checksum=True)
        uploader.upload()
    arrived_whole(api, str(uploader.url))


# A whole file that needs no parts; the last and shorter part; and the beginning of the parts.
REFUSALS = {
    "put": (SHORT, 5000, "PUT", "{id}"),
    "last part": (SONG, 6 * MIB, "PUT", r"{id}\?\S*partNumber=3\S*"),
    "first part": (SONG, 3 * MIB, "POST", r"{id}\?uploads\S*"),
}


@pytest.mark.parametrize("refused", REFUSALS)
def test_acknowledged_bytes_survive_an_outage_of_storage(
    api: Api, storage: RefusingProxy, refused: str
) -> None:
    song, acknowledged, method, address = REFUSALS[refused]
    url = begun(api, len(song))
    assert patch(url, 0, song[:acknowledged]) == 204
    storage.refuse_one_call(method, address.format(id=url.rpartition("/")[2]))
    assert patch(url, acknowledged, song[acknowledged:]) == 503
    assert storage.left == 0
    offset = offset_of(url)
    assert acknowledged <= offset < len(song)
    assert offset_of(url) == offset
    assert patch(url, offset, song[offset:]) == 204
    arrived_whole(api, url, song)


@pytest.mark.parametrize("refused", REFUSALS)
def test_tuspy_resumes_after_an_outage_of_storage(
    api: Api, storage: RefusingProxy, refused: str, tmp_path: Path
) -> None:
    song, acknowledged, method, address = REFUSALS[refused]
    path = tmp_path / "song.flac"
    path.write_bytes(song)
    with path.open("rb") as file:
        uploader = TusClient(f"{api.url}/v1/tus").uploader(
            file_stream=file, chunk_size=acknowledged, retries=1, retry_delay=0
        )
        uploader.upload(stop_at=acknowledged)
        uploader.chunk_size = len(song)
        storage.refuse_one_call(method, address.format(id=str(uploader.url).rpartition("/")[2]))
        uploader.upload()
        assert storage.left == 0
        # as it does where the last answer was lost: nothing is left to send, and it is sent
        uploader.upload_chunk()  # type: ignore[no-untyped-call]
    assert uploader.offset == len(song)
    arrived_whole(api, str(uploader.url), song)


@pytest.mark.parametrize("song", [SHORT, SONG], ids=["short", "long"])
def test_a_connection_cut_after_the_last_byte_loses_at_most_one_byte(api: Api, song: bytes) -> None:
    url = begun(api, len(song))
    upload_id = url.rpartition("/")[2]
    head = (
        f"PATCH /v1/tus/{upload_id} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nUpload-Offset: 0\r\n"
    )
    head += "".join(f"{name}: {value}\r\n" for name, value in CHUNK.items())
    with api.socket() as connection:
        connection.sendall(head.encode() + b"\r\n%x\r\n" % len(song) + song + b"\r\n")
        while (upload_id, len(song)) not in {
            (each.id, each.received_bytes) for each in api.uploads.list_alive()
        }:
            pass
    while upload_id in {each.id for each in api.uploads.list_alive()}:
        pass
    assert offset_of(url) == len(song) - 1
    assert patch(url, len(song) - 1, song[-1:]) == 204
    arrived_whole(api, url, song)


def half_sent(api: Api, url: str, offset: int, data: bytes) -> socket.socket:
    """A connection on which a PATCH has begun that never ends."""
    connection = api.socket()
    head = "".join(f"{name}: {value}\r\n" for name, value in CHUNK.items())
    connection.sendall(
        f"PATCH {url.removeprefix(api.url)} HTTP/1.1\r\nHost: x\r\nUpload-Offset: {offset}\r\n"
        f"Content-Length: {len(SHORT) - offset}\r\n{head}\r\n".encode()
        + data
    )
    return connection


def wait_until_received(api: Api, size: int) -> None:
    deadline = time.monotonic() + 60
    while max((upload.received_bytes for upload in api.uploads.list_alive()), default=0) < size:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("turn", range(3))
def test_what_a_broken_connection_brought_counts_at_once(api: Api, turn: int) -> None:
    url = begun(api, len(SHORT))
    sent = 100_000 + turn
    with half_sent(api, url, 0, SHORT[:sent]) as connection:
        wait_until_received(api, sent)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
    assert offset_of(url) == sent
    assert patch(url, sent, SHORT[sent:]) == 204
    arrived_whole(api, url, SHORT)


def test_a_request_that_takes_over_ends_well_after_the_one_that_it_replaces(api: Api) -> None:
    url = begun(api, len(SHORT))
    with half_sent(api, url, 0, SHORT[:1000]) as hanging:
        wait_until_received(api, 1000)
        with half_sent(api, url, 0, SHORT[:2000]) as second:
            time.sleep(0.5)  # it takes over
            hanging.close()
            time.sleep(0.5)  # the first one ends before the second
            second.sendall(SHORT[2000:])
            assert second.recv(1000).startswith(b"HTTP/1.1 204")
    arrived_whole(api, url, SHORT)

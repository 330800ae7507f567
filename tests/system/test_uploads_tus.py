"""Resumable uploads with clients that others wrote, and with an API that is killed meanwhile."""

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tusclient.client import TusClient

from tests.servers import S3Server, ValkeyServer
from tests.system.an_api import Api, an_api

MIB = 1024 * 1024
SONG = b"fLaC" + random.Random(7).randbytes(13 * MIB)
TUS = {"Tus-Resumable": "1.0.0"}
CHUNK = TUS | {"Content-Type": "application/offset+octet-stream"}
JS = Path(__file__).parent / "tus_client.mjs"


@pytest.fixture(scope="module")
def api(valkey: ValkeyServer, s3: S3Server) -> Iterator[Api]:
    with an_api(valkey, s3) as running:
        yield running


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("song") / "söng.flac"
    path.write_bytes(SONG)
    return path


def arrived_whole(api: Api, url: str) -> None:
    job_id = url.rpartition("/")[2]
    job = httpx2.get(f"{api.url}/v1/jobs/{job_id}").json()
    assert (job["state"], job["input"]["bytes"]) == ("queued", len(SONG))
    with api.audio.open(job_id) as stored:
        assert stored.read() == SONG
    assert api.stored() == {(each, False) for each in api.accepted()}


@pytest.mark.parametrize("chunk", [3_333_333, 100 * MIB])
def test_tuspy_uploads_as_it_is(api: Api, song: Path, chunk: int) -> None:
    with song.open("rb") as file:
        uploader = TusClient(f"{api.url}/v1/tus").uploader(
            file_stream=file, chunk_size=chunk, metadata={"filename": "söng.flac", "filetype": "audio/flac"}
        )
        uploader.upload()
    arrived_whole(api, str(uploader.url))


def test_tuspy_goes_on_after_the_api_was_killed(api: Api, song: Path) -> None:
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
    created = httpx2.post(f"{api.url}/v1/tus", headers=TUS | {"Upload-Length": str(len(SONG))})
    url = api.url + created.headers["location"]

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
    offset = int(httpx2.head(url, headers=TUS).headers["upload-offset"])
    assert offset in (5 * MIB, 10 * MIB)
    rest = httpx2.patch(
        url, content=SONG[offset:], headers=CHUNK | {"Upload-Offset": str(offset)}, timeout=60
    )
    assert rest.status_code == 204
    arrived_whole(api, url)


def test_a_connection_cut_in_the_middle_costs_nothing_of_what_came(api: Api) -> None:
    created = httpx2.post(f"{api.url}/v1/tus", headers=TUS | {"Upload-Length": str(len(SONG))})
    path = created.headers["location"]
    head = f"PATCH {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(SONG)}\r\nUpload-Offset: 0\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in CHUNK.items())
    with api.socket() as connection:
        connection.sendall(head.encode() + b"\r\n" + SONG[: 7 * MIB])
    while api.uploads.alive():
        pass
    offset = int(httpx2.head(api.url + path, headers=TUS).headers["upload-offset"])
    assert 5 * MIB < offset <= 7 * MIB
    more = CHUNK | {"Upload-Offset": str(offset)}
    assert httpx2.patch(api.url + path, content=SONG[offset:], headers=more, timeout=60).status_code == 204
    arrived_whole(api, api.url + path)


@pytest.mark.parametrize("chunk", [4 * MIB, 0], ids=["chunks", "one request"])
def test_tus_js_client_uploads_as_it_is_and_goes_on_after_a_break(
    api: Api, song: Path, chunk: int, node_modules: Path
) -> None:
    command = ["node", str(JS), str(node_modules), f"{api.url}/v1/tus", str(song), str(chunk)]
    url = subprocess.check_output(command, text=True, timeout=120).strip()
    arrived_whole(api, url)

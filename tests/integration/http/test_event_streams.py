"""Thousands of event streams of one address, at a real API."""

import socket
import time
from contextlib import ExitStack

import httpx2

from tests.support.api_process import Api, running_api
from tests.support.servers import S3Server, ValkeyServer

STREAMS = 2050
PATIENCE_SECONDS = 120
OTHER_ADDRESS = "127.0.0.2"


def test_thousands_of_streams_of_one_address_keep_nobody_else_from_theirs(
    valkey: ValkeyServer, s3: S3Server
) -> None:
    with running_api(valkey, s3) as api, ExitStack() as opened:
        job = httpx2.post(f"{api.url}/v1/jobs", content=b"RIFF" + bytes(100)).headers["location"]
        answers = []
        for _ in range(STREAMS):
            stream = watch(api, job)
            answers.append(status(stream))
            if answers[-1] == 200:
                opened.enter_context(stream)
            else:
                stream.close()
        assert set(answers) == {200, 429}
        assert answers == sorted(answers), "a place is refused only once all are taken"
        assert answers.count(200) <= 300
        with watch(api, job, source=OTHER_ADDRESS) as other:
            assert status(other) == 200
        assert httpx2.get(f"{api.url}{job}").status_code == 200
        opened.close()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:  # the places of closed streams come back
            with watch(api, job) as stream:
                if status(stream) == 200:
                    break
            assert time.monotonic() < deadline
            time.sleep(0.2)


def watch(api: Api, job: str, *, source: str = "") -> socket.socket:
    stream = socket.create_connection(
        ("127.0.0.1", api.port), timeout=PATIENCE_SECONDS, source_address=(source, 0)
    )
    stream.sendall(f"GET {job}/events HTTP/1.1\r\nHost: 127.0.0.1:{api.port}\r\n\r\n".encode())
    return stream


def status(stream: socket.socket) -> int:
    return int(stream.recv(12, socket.MSG_WAITALL).split()[1])

"""Memory of a real API process while many uploads are open, and after they have ended."""

import socket
import sys
import time
from contextlib import ExitStack

import httpx2
import psutil
import pytest

from tests.support.api_process import Api, running_api
from tests.support.servers import S3Server, ValkeyServer

MIB = 1024 * 1024
UPLOADS, SIZE = 400, 45_000
HEAD = f"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: audio/wav\r\nContent-Length: {SIZE + 1}\r\n\r\n"
WAV = b"RIFF\xff\xff\xff\x7fWAVEfmt " + bytes(SIZE - 16)
DEADLINE_SECONDS = 120


def private_bytes(api: Api) -> int:
    return int(psutil.Process(api.server.pid).memory_full_info().uss)


def wait_for_uploads(api: Api, count: int) -> None:
    """Wait until so many uploads are open, each with all that was sent."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (found := _open_uploads(api)) != count:
        assert time.monotonic() < deadline, f"{found} uploads are open"
        time.sleep(0.2)


def _open_uploads(api: Api) -> int:
    text = httpx2.get(f"{api.url}/metrics", timeout=60).text
    line = next(line for line in text.splitlines() if line.startswith("kammerton_upload_buffer_bytes "))
    return round(float(line.split()[1])) // (64 * 1024)


def hold(api: Api, uploads: int) -> int:
    """Open so many uploads, then hang up. Returns the memory while all were open."""
    with ExitStack() as stack:
        for _ in range(uploads):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", api.port), timeout=60))
            connection.sendall(HEAD.encode() + WAV)
        wait_for_uploads(api, uploads)
        found = private_bytes(api)
    wait_for_uploads(api, 0)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="malloc_trim is glibc's")
def test_memory_of_many_open_uploads_is_given_back(valkey: ValkeyServer, s3: S3Server) -> None:
    with running_api(valkey, s3, KAMMERTON_METRICS_PUBLIC="true") as api:
        hold(api, 50)  # what the first uploads load stays
        idle = private_bytes(api)
        rise = hold(api, UPLOADS) - idle
        assert rise > 10 * MIB
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (left := private_bytes(api) - idle) > rise / 2:
            assert time.monotonic() < deadline, f"{left / MIB:.1f} of {rise / MIB:.1f} MiB are left"
            time.sleep(0.5)

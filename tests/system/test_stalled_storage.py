"""Our own storage goes silent in mid-read: what a worker owes its jobs, it owes them all the same."""

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.audio_files import audio_file
from tests.support.s3_proxy import s3_relay
from tests.support.servers import S3Server
from tests.support.system import System, running_system

BUCKET = "stalled"
SONG = audio_file("wav", seconds=4.0)
FIRST_BYTES = 16 * 1024
"""Of the answer that stalls: its headers and a little of the song."""
MOST_SECONDS = 120


@dataclass
class StallingProxy:
    """Between us and a storage that is well."""

    url: str = ""
    armed: threading.Event = field(default_factory=threading.Event)
    """The next song that is asked for is not sent to its end."""
    stalled: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    """Whether a client that was kept waiting hung up before it was let go."""
    let_go: threading.Event = field(default_factory=threading.Event)


@contextmanager
def stalling_s3_proxy(storage: S3Server) -> Iterator[StallingProxy]:
    proxy = StallingProxy()

    def stall(asked: bytes, client: socket.socket, server: socket.socket) -> bool:
        if not (proxy.armed.is_set() and asked.startswith(f"GET /{BUCKET}/audio/".encode())):
            return False
        proxy.armed.clear()
        server.sendall(asked)
        to_come = FIRST_BYTES
        while to_come and (answer := server.recv(to_come)):
            client.sendall(answer)
            to_come -= len(answer)
        proxy.stalled.set()
        while not proxy.let_go.is_set():
            if select.select([client], [], [], 0.05)[0] and not client.recv(65536):
                proxy.left.set()
                break
        return True

    with s3_relay(storage, stall) as proxy.url:
        try:
            yield proxy
        finally:
            proxy.let_go.set()


@contextmanager
def running_system_behind(proxy: StallingProxy, storage: S3Server, data_dir: Path) -> Iterator[System]:
    settings = {
        "KAMMERTON_S3_ENDPOINT_URL": proxy.url,
        "KAMMERTON_S3_BUCKET": BUCKET,
        "AWS_ACCESS_KEY_ID": storage.access_key,
        "AWS_SECRET_ACCESS_KEY": storage.secret_key,
        "AWS_REGION": storage.region,
        # what is seen here must be the worker's own doing: no rescuer takes the job from it
        "KAMMERTON_LEASE_SECONDS": "600",
    }
    with running_system(data_dir, **settings) as system:
        yield system


def test_a_job_is_canceled_while_its_worker_waits_for_our_storage(tmp_path: Path, s3: S3Server) -> None:
    with stalling_s3_proxy(s3) as proxy, running_system_behind(proxy, s3, tmp_path / "data") as system:
        proxy.armed.set()
        location = system.submit(SONG, **{"Content-Type": "audio/wav"})
        assert proxy.stalled.wait(MOST_SECONDS)
        assert system.client.post(f"{location}/cancel").json()["state"] == "running"
        ended = system.finished(location)
        assert (ended["state"], ended["timeline"][-1]["why"]) == ("canceled", None)
        # it was not the storage's client that gave up: it still waits, and would for 20 s
        assert not proxy.left.is_set()
        proxy.let_go.set()
        songs = [system.submit(SONG, **{"Content-Type": "audio/wav"}) for _ in range(4)]
        assert [system.finished(song)["state"] for song in songs] == ["succeeded"] * 4
        assert system.stored() == []

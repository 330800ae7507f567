import os
import select
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import cast
from unittest import mock

import pytest

from shared.errors import Unavailable
from shared.s3.audio_store import S3AudioStore
from shared.s3.client import connect_s3
from shared.s3.object_reader import ObjectReader
from tests.support.s3_proxy import s3_relay
from tests.support.servers import S3Server


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_every_failed_try_is_reported(nobody: int) -> None:
    told: list[str] = []
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    with mock.patch.dict(os.environ, keys):
        client = connect_s3(
            endpoint_url=f"http://127.0.0.1:{nobody}", region="us-east-1", on_error=lambda: told.append("x")
        )
    store = S3AudioStore(client, bucket="b", prefix="", part_bytes=5 * 1024 * 1024)
    with pytest.raises(Unavailable):
        store.check()
    assert len(told) == 3
    client.close()


def test_bytes_read_from_s3_are_reported_and_a_missing_object_is_not_an_error(s3: S3Server) -> None:
    told: list[str] = []
    read: list[int] = []
    keys = {"AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key}
    with mock.patch.dict(os.environ, keys):
        client = connect_s3(
            endpoint_url=s3.endpoint_url,
            region=s3.region,
            on_error=lambda: told.append("x"),
        )
        store = S3AudioStore(
            client,
            bucket=f"t{uuid.uuid4().hex[:8]}",
            prefix="",
            part_bytes=5 * 1024 * 1024,
            on_read=read.append,
        )
        client.create_bucket(Bucket=store._bucket)
        upload = store.start_upload("a", media_type="audio/wav")
        upload.write(bytes(1000), number=1)
        upload.finish()
        with store.open("a") as file:
            file.seek(900)
            assert len(file.read(50)) == 50
        store.delete("nobody")
    assert (sum(read), told) == (1000 - 50, [])  # skipping to the position is cheaper than another request
    client.close()


def test_reading_a_whole_object_is_one_request(s3: S3Server) -> None:
    read: list[int] = []
    gets: list[object] = []
    keys = {"AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key}
    with mock.patch.dict(os.environ, keys):
        client = connect_s3(endpoint_url=s3.endpoint_url, region=s3.region)
        client.meta.events.register("after-call.s3.GetObject", lambda parsed, **_: gets.append(parsed))
        store = S3AudioStore(
            client,
            bucket=f"t{uuid.uuid4().hex[:8]}",
            prefix="",
            part_bytes=5 * 1024 * 1024,
            on_read=read.append,
        )
        client.create_bucket(Bucket=store._bucket)
        audio = os.urandom(1_000_000)
        store.put("a", audio, media_type="audio/wav")
        with store.open("a") as file:
            assert file.read() == audio
            assert file.read() == b""
    assert (sum(read), len(gets)) == (len(audio), 1)
    client.close()


@pytest.mark.parametrize("hung_up", [False, True])
def test_a_look_at_the_end_takes_one_request_more(s3: S3Server, hung_up: bool) -> None:
    gets: list[object] = []
    keys = {"AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key}
    with mock.patch.dict(os.environ, keys):
        client = connect_s3(endpoint_url=s3.endpoint_url, region=s3.region)
        client.meta.events.register("after-call.s3.GetObject", lambda parsed, **_: gets.append(parsed))
        store = S3AudioStore(client, bucket=f"t{uuid.uuid4().hex[:8]}", prefix="", part_bytes=5 << 20)
        client.create_bucket(Bucket=store._bucket)
        audio = os.urandom(9_000_000)
        store.put("a", audio, media_type="audio/wav")
        with closing(cast(ObjectReader, store.open("a"))) as file:
            assert file.read(300_000) == audio[:300_000]
            file.seek(-128, os.SEEK_END)
            assert file.read(128) == audio[-128:]
            if hung_up:
                file._responses[1].body.close()
            file.seek(300_000)
            assert file.read(500_000) == audio[300_000:800_000]
            assert len(gets) == (3 if hung_up else 2)
            for offset in (8_000_000, 100, 6_000_000):  # the first two responses are of no use any more
                file.seek(offset)
                assert file.read(1000) == audio[offset : offset + 1000]
            assert len(file._responses) == 2
        assert file._responses == []
    client.close()


@dataclass
class Dribble:
    """A way to a storage that is well, on which the end of a song comes a byte at a time."""

    url: str = ""
    bytes_left: int = 0
    """What was still to come when the client hung up."""
    over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def dribbling_s3(storage: S3Server, *, first_bytes: int, patience: int) -> Iterator[Dribble]:
    """*patience*: after so many single bytes the rest comes at once."""
    dribble = Dribble()

    def slowly(asked: bytes, client: socket.socket, server: socket.socket) -> bool:
        if not asked.startswith(b"GET "):
            return False
        server.sendall(asked)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += server.recv(65536)
        head, _, body = answer.partition(b"\r\n\r\n")
        size = int(dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])[b"content-length"])
        while len(body) < size:
            body += server.recv(65536)
        client.sendall(head + b"\r\n\r\n" + body[:first_bytes])
        sent = first_bytes
        try:
            for sent in range(first_bytes, min(first_bytes + patience, size)):
                if select.select([client], [], [], 0.05)[0]:
                    return True
                client.sendall(body[sent : sent + 1])
            client.sendall(body[sent + 1 :])
            sent = size
            return True
        finally:
            dribble.bytes_left = size - sent
            dribble.over.set()

    with s3_relay(storage, slowly) as dribble.url:
        yield dribble


def test_a_read_of_a_byte_at_a_time_ends_with_its_connection(s3: S3Server) -> None:
    keys = {"AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key}
    audio = os.urandom(100_000)
    bucket = f"t{uuid.uuid4().hex[:8]}"
    with (
        mock.patch.dict(os.environ, keys),
        dribbling_s3(s3, first_bytes=10_000, patience=200) as dribble,
        closing(connect_s3(endpoint_url=dribble.url, region=s3.region)) as client,
    ):
        store = S3AudioStore(
            client, bucket=bucket, prefix="", part_bytes=5 * 1024 * 1024, read_timeout_seconds=0
        )
        client.create_bucket(Bucket=store._bucket)
        store.put("a", audio, media_type="audio/wav")
        with store.open("a") as file, pytest.raises(Unavailable, match="storage"):
            file.read()
        assert dribble.over.wait(60)
    assert dribble.bytes_left > 80_000

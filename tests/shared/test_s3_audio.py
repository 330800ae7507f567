import os
import socket
import uuid
from collections.abc import Iterator
from unittest import mock

import pytest

from shared.errors import Unavailable
from shared.s3_audio import S3AudioStore, connect_s3
from tests.servers import S3Server


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_every_failed_try_of_s3_is_told(nobody: int) -> None:
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


def test_bytes_read_from_s3_are_told_and_a_missing_object_is_no_error(s3: S3Server) -> None:
    told: list[str] = []
    read: list[int] = []
    keys = {"AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key}
    with mock.patch.dict(os.environ, keys):
        client = connect_s3(
            endpoint_url=s3.endpoint_url,
            region=s3.region,
            on_error=lambda: told.append("x"),
            on_read=read.append,
        )
        store = S3AudioStore(client, bucket=f"t{uuid.uuid4().hex[:8]}", prefix="", part_bytes=5 * 1024 * 1024)
        store.prepare()
        upload = store.begin("a", media_type="audio/wav")
        upload.write(bytes(1000), number=1)
        upload.finish()
        with store.open("a") as file:
            file.seek(900)
            assert len(file.read(50)) == 50
        store.delete("nobody")
    assert (sum(read), told) == (50, [])
    client.close()


def test_reading_all_of_an_object_asks_storage_once(s3: S3Server) -> None:
    read: list[int] = []
    keys = {"AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key}
    with mock.patch.dict(os.environ, keys):
        client = connect_s3(endpoint_url=s3.endpoint_url, region=s3.region, on_read=read.append)
        store = S3AudioStore(client, bucket=f"t{uuid.uuid4().hex[:8]}", prefix="", part_bytes=5 * 1024 * 1024)
        store.prepare()
        audio = os.urandom(1_000_000)
        store.put("a", audio, media_type="audio/wav")
        with store.open("a") as file:
            file.seek(1000)
            assert file.read() == audio[1000:]
            assert file.read() == b""
    assert read == [len(audio) - 1000]
    client.close()

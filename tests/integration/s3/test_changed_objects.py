"""Storage that has less than was uploaded, or answers with another object or range than before."""

import os
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from unittest import mock

import pytest

from shared.domain.job_fields import AudioInput
from shared.errors import AudioDamaged, Unavailable
from shared.s3.audio_store import S3AudioStore
from shared.s3.client import connect_s3
from tests.support.factories import make_job
from tests.support.servers import S3Server
from worker.jobs.stored_audio import StoredAudio

SIZE = 3_000_000
"""More than the first range holds."""


@pytest.fixture
def store(s3: S3Server) -> Iterator[S3AudioStore]:
    keys = {"AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key}
    with mock.patch.dict(os.environ, keys):
        client = connect_s3(endpoint_url=s3.endpoint_url, region=s3.region)
        with closing(client):
            bucket = f"t{uuid.uuid4().hex[:8]}"
            client.create_bucket(Bucket=bucket)
            yield S3AudioStore(client, bucket=bucket, prefix="", part_bytes=5 << 20)


def put(store: S3AudioStore, data: bytes) -> None:
    store.put("job-1", data, media_type="audio/wav")


@pytest.mark.parametrize("size", [SIZE - 1, 0, SIZE + 1])
def test_an_object_of_another_size_is_damaged(store: S3AudioStore, size: int) -> None:
    put(store, bytes(size))
    job = make_job(input=AudioInput(size_bytes=SIZE))
    with pytest.raises(AudioDamaged, match=f"{size} bytes of {SIZE}"):
        StoredAudio(job, audio=store)


def test_an_object_that_is_replaced_is_not_mixed_with_the_first(store: S3AudioStore) -> None:
    put(store, b"a" * SIZE)
    with store.open("job-1") as file:
        assert file.read(4) == b"aaaa"
        put(store, b"b" * SIZE)
        file.seek(SIZE - 4)
        with pytest.raises(Unavailable, match="something else"):
            file.read(4)


def test_a_range_that_was_not_asked_for_is_refused(store: S3AudioStore) -> None:
    def shift(parsed: dict[str, Any], **_: object) -> None:
        first, _, rest = parsed["ContentRange"].removeprefix("bytes ").partition("-")
        parsed["ContentRange"] = f"bytes {int(first) + 1}-{rest}"

    put(store, bytes(SIZE))
    with store.open("job-1") as file:
        store._client.meta.events.register("after-call.s3.GetObject", shift)
        file.seek(SIZE - 4)
        with pytest.raises(Unavailable, match="something else"):
            file.read(4)

"""The store and the bucket know each other, with real servers."""

import uuid
from collections.abc import Iterator

import pytest

from shared.errors import InstallationMismatch
from shared.installation_check import check_installation
from shared.redis.client import connect_redis
from shared.redis.installation import RedisInstallationStore
from shared.redis.jobs.store import RedisJobStore
from shared.s3.audio_store import S3AudioStore
from shared.s3.client import connect_s3
from tests.support.factories import make_job
from tests.support.servers import S3Server, ValkeyServer


@pytest.fixture
def audio(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3AudioStore]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret_key)
    client = connect_s3(endpoint_url=s3.endpoint_url, region=s3.region)
    store = S3AudioStore(
        client, bucket=f"t{uuid.uuid4().hex[:8]}", prefix="audio/", part_bytes=5 * 1024 * 1024
    )
    client.create_bucket(Bucket=store._bucket)
    yield store
    client.close()


def test_a_store_that_came_back_empty_does_not_match_the_bucket(
    valkey: ValkeyServer, audio: S3AudioStore
) -> None:
    prefix = f"t{uuid.uuid4().hex[:8]}:"
    with connect_redis(valkey.url) as client:
        store = RedisInstallationStore(client, prefix=prefix)
        installation = check_installation(store, audio)
        assert installation.created_at > 1e9
        assert check_installation(store, audio) == installation
        assert list(audio.list_older_than(before=1e12)) == [], "the marker is not audio"
        client.delete(prefix + "installation")
        with pytest.raises(InstallationMismatch):
            check_installation(store, audio)
        audio.set_installation_id(store.get_or_create().id)
        check_installation(store, audio)


def test_a_store_with_jobs_is_older_than_its_id(valkey: ValkeyServer) -> None:
    prefix = f"t{uuid.uuid4().hex[:8]}:"
    with connect_redis(valkey.url) as client:
        RedisJobStore(client, prefix=prefix).add(make_job())
        assert RedisInstallationStore(client, prefix=prefix).get_or_create().created_at == 0.0

import uuid
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import urlopen

import boto3
import psutil
import pytest
import redis

from tests.support.servers import S3Server, ValkeyServer, running_s3, running_valkey

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def client(s3: S3Server) -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=s3.endpoint_url,
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
        region_name=s3.region,
    )


def test_valkey_writes_every_change_to_disk_and_evicts_nothing(valkey: ValkeyServer) -> None:
    with redis.Redis.from_url(valkey.url, decode_responses=True) as connection:
        assert connection.config_get("append*") | connection.config_get("maxmemory-policy") == {
            "appendonly": "yes",
            "appendfsync": "always",
            "appendfilename": "appendonly.aof",
            "appenddirname": "appendonlydir",
            "maxmemory-policy": "noeviction",
        }
        assert connection.config_get("bind") == {"bind": "127.0.0.1"}


def test_valkey_requires_a_password_that_no_other_user_can_read(tmp_path: Path) -> None:
    with running_valkey(tmp_path) as valkey:
        address = urlsplit(valkey.url)
        assert address.password
        with (
            redis.Redis(address.hostname or "", address.port or 0) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()
        command_line = psutil.Process(valkey.server.pid).cmdline()
        assert address.password not in " ".join(command_line)
        (file,) = [file for file in tmp_path.iterdir() if file.suffix == ".conf"]
        assert file.stat().st_mode & 0o077 == 0


def test_valkey_keeps_its_data_after_a_kill() -> None:
    with running_valkey() as valkey, redis.Redis.from_url(valkey.url, decode_responses=True) as connection:
        connection.set("song", "432")
        valkey.server.kill()
        valkey.server.start()
        assert connection.get("song") == "432"


def test_s3_keeps_its_data_after_a_kill() -> None:
    with running_s3() as s3:
        client(s3).create_bucket(Bucket="songs")
        client(s3).put_object(Bucket="songs", Key="a", Body=b"la")
        s3.server.kill()
        s3.server.start()
        assert client(s3).get_object(Bucket="songs", Key="a")["Body"].read() == b"la"


def test_s3_supports_multipart_uploads_ranges_and_signed_urls(s3: S3Server) -> None:
    bucket, part = f"b{uuid.uuid4().hex}", b"x" * 5 * 1024 * 1024
    client(s3).create_bucket(Bucket=bucket)
    upload = client(s3).create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    etags = [
        client(s3).upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=n, Body=body)["ETag"]
        for n, body in [(1, part), (2, b"tail")]
    ]
    client(s3).complete_multipart_upload(
        Bucket=bucket,
        Key="k",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, 1)]},
    )
    ranged = client(s3).get_object(Bucket=bucket, Key="k", Range=f"bytes={len(part) - 1}-")
    assert ranged["Body"].read() == b"xtail"
    link = client(s3).generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    with urlopen(link) as answer:  # noqa: S310 - a link of our own server
        assert len(answer.read()) == len(part) + 4


def test_s3_holds_many_buckets(s3: S3Server) -> None:
    for _ in range(12):
        bucket = f"b{uuid.uuid4().hex}"
        client(s3).create_bucket(Bucket=bucket)
        client(s3).put_object(Bucket=bucket, Key="a", Body=b"la")

"""Connects to S3 and translates its errors. The only folder that imports boto3."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.loaders import Loader, create_loader

from shared.errors import AudioMissing, Unavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


S3Session = boto3.Session

_PART_CONTENT_TYPE = "audio/x-part"
"""S3 ignores the type of a part. SeaweedFS compresses parts without a type if they look compressible, as WAV
does: that doubles the CPU time of an upload, and makes each read of a range decompress 8 MiB."""


def connect_s3(
    *,
    endpoint_url: str | None,
    region: str,
    connections: int = 64,
    on_error: Callable[[], None] = lambda: None,
    session: S3Session | None = None,
) -> "S3Client":
    """A client that gives up after seconds rather than minutes. Threads can share it.

    *on_error* is called for every failed attempt. Clients of one *session* share credentials and the parsed
    model of the S3 API, which takes 14 MB.
    """
    config = Config(
        connect_timeout=3,
        read_timeout=20,
        retries={"mode": "standard", "total_max_attempts": 3},
        max_pool_connections=connections,
        signature_version="s3v4",
        s3={
            **({"addressing_style": "path"} if endpoint_url else {}),
            "payload_signing_enabled": not _is_intact(endpoint_url),
        },
        # boto3's default checksums end up inside the objects of some S3 servers (boto3 #4435)
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    client = (session or new_session()).client(
        "s3", endpoint_url=endpoint_url, region_name=region, config=config
    )

    def tried(response: Any, caught_exception: Any, **_: Any) -> None:
        if caught_exception is not None or (response and response[0].status_code >= 500):
            on_error()

    def set_part_type(params: Any, **_: Any) -> None:
        params["headers"]["Content-Type"] = _PART_CONTENT_TYPE

    client.meta.events.register("needs-retry.s3", tried)
    client.meta.events.register("before-call.s3.UploadPart", set_part_type)
    return client


def new_session() -> S3Session:
    """A session that reads the credentials from the environment."""
    core = botocore.session.get_session()
    core.register_component("data_loader", _loader())
    return S3Session(botocore_session=core)


@cache
def _loader() -> Loader:
    """Keeps the parsed model of the S3 API for all sessions, and for forks of this process."""
    return create_loader()


def _is_intact(endpoint_url: str | None) -> bool:
    """Whether bytes arrive unchanged without a hash in the signature: over TLS and on this machine."""
    url = urlsplit(endpoint_url or "https://s3.amazonaws.com")
    return url.scheme == "https" or url.hostname in {"127.0.0.1", "::1", "localhost"}


def abort_multipart(client: "S3Client", bucket: str, name: str, upload_id: str) -> None:
    """Abort an unfinished multipart upload, if it exists."""
    try:
        client.abort_multipart_upload(Bucket=bucket, Key=name, UploadId=upload_id)
    except ClientError as error:
        if status_of(error) != 404:
            raise


@contextmanager
def translate_s3_errors() -> Iterator[None]:
    """Translate errors of S3 into AudioMissing and Unavailable."""
    try:
        yield
    except ClientError as error:
        if status_of(error) == 404 and error.response.get("Error", {}).get("Code") != "NoSuchBucket":
            raise AudioMissing("The audio of this job is no longer in storage.") from error
        raise Unavailable("The audio storage refused a request. Try again in a few seconds.") from error
    except (BotoCoreError, OSError) as error:
        raise Unavailable("The audio storage is unavailable. Try again in a few seconds.") from error


def status_of(error: ClientError) -> int:
    """The HTTP status of an error response; 0 if there is none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))

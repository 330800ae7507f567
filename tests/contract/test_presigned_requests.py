"""What a real store refuses of what it has been offered: signatures have no fake."""

from contextlib import nullcontext
from typing import Any

import httpx2
import pytest

from shared.errors import NotConfigured
from shared.s3.client import connect_s3
from shared.s3.presigned import S3PresignedUploadStore
from tests.contract.test_presigned_uploads import LONG, SONG, offered

HEADERS = {"Content-Type": "audio/flac"}


@pytest.mark.parametrize(
    ("content", "headers"),
    [(SONG + b"x", HEADERS), (SONG[:-1], HEADERS), (SONG, {"Content-Type": "text/html"}), (SONG, {})],
    ids=["longer", "shorter", "other type", "no type"],
)
def test_anything_but_the_signed_request_is_refused(
    real_direct: S3PresignedUploadStore, content: bytes, headers: dict[str, str]
) -> None:
    (request,) = offered(real_direct, SONG)
    assert httpx2.put(request.url, content=content, headers=headers).status_code == 403


def test_a_part_of_another_size_or_number_is_refused(real_direct: S3PresignedUploadStore) -> None:
    first, *_ = offered(real_direct, LONG)
    assert httpx2.put(first.url, content=b"x").status_code == 403
    other = first.url.replace("partNumber=1", "partNumber=9")
    assert httpx2.put(other, content=LONG[: first.size_bytes]).status_code == 403


def test_a_form_accepts_exactly_the_file(real_direct: S3PresignedUploadStore) -> None:
    form = real_direct.presign("a", size_bytes=len(SONG), media_type="audio/flac", expires_seconds=60).form
    assert form is not None

    def send(content: bytes, **changes: Any) -> int:
        return httpx2.post(form.url, data=form.fields | changes, files={"file": ("a", content)}).status_code

    assert send(SONG + b"x") >= 400
    assert send(SONG, key="audio/another") >= 400
    assert send(SONG) == 204


def test_a_browser_of_any_origin_can_upload(real_direct: S3PresignedUploadStore) -> None:
    (request,) = offered(real_direct, SONG)
    asks = {
        "Origin": "https://page.example",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type",
    }
    preflight = httpx2.options(request.url, headers=asks)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] in ("*", "https://page.example")
    assert "PUT" in preflight.headers["access-control-allow-methods"]


@pytest.mark.parametrize(
    ("address", "is_public"),
    [
        ("http://s3:8333", False),
        ("http://seaweedfs:8333", False),
        ("https://s3.example.org", True),
        ("http://localhost:8333", True),
        ("http://192.0.2.1:8333", True),
        ("http://[2001:db8::1]:8333", True),
        (None, True),
    ],
)
def test_a_name_that_only_containers_know_is_no_public_address(
    address: str | None, is_public: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    client = connect_s3(endpoint_url=address, region="us-east-1")
    store = S3PresignedUploadStore(client, public_client=client, bucket="b", prefix="", part_bytes=1)
    with nullcontext() if is_public else pytest.raises(NotConfigured, match="KAMMERTON_S3_PUBLIC_URL"):
        store.check_address()
    client.close()

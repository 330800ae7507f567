"""The whole service with the permissions that docs/operations.md names, and no other."""

import re
import secrets
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
import redis

from shared.s3.audio_store import S3AudioStore
from shared.s3.client import connect_s3
from tests.support.audio_files import audio_file
from tests.support.s3_policy import s3_with_policy
from tests.support.servers import S3Server, ValkeyServer
from tests.support.system import System, running_system

DOCS = Path(__file__).parents[2] / "docs/operations.md"
MIB = 1024 * 1024


def documented(pattern: str) -> str:
    found = re.search(pattern, DOCS.read_text(), re.DOTALL)
    assert found
    return found[1]


def upload_with_tus(client: httpx2.Client, audio: bytes) -> str:
    tus = {"Tus-Resumable": "1.0.0"}
    created = client.post("/v1/tus", headers={**tus, "Upload-Length": str(len(audio))})
    at = created.headers["location"]
    for begin in range(0, len(audio), 6 * MIB):
        headers = {
            **tus,
            "Upload-Offset": str(begin),
            "Content-Type": "application/offset+octet-stream",
        }
        sent = client.patch(at, headers=headers, content=audio[begin : begin + 6 * MIB])
        assert sent.status_code == 204, sent.text
    return f"/v1/jobs/{at.rpartition('/')[2]}"


def upload_directly(client: httpx2.Client, audio: bytes) -> str:
    created = client.post("/v1/uploads", json={"filename": "a.wav", "bytes": len(audio)}).json()
    for request in created["requests"]:
        sent = httpx2.put(request["url"], content=audio, headers=request["headers"])
        assert sent.status_code == 200, sent.text
    response = client.post("/v1/jobs/from-upload", json={"upload_id": created["upload_id"]})
    assert response.status_code == 202, response.text
    return str(response.headers["location"])


def ready(client: httpx2.Client) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        found: dict[str, Any] = client.get("/readyz").json()
        if found["status"] == "ready" or time.monotonic() > deadline:
            return found


def use_everything(system: System) -> None:
    client = system.client
    audio = audio_file("wav", seconds=60.0)
    assert len(audio) > 5 * MIB  # more than one part
    places = [
        system.submit(audio, **{"Content-Type": "audio/wav"}),
        upload_with_tus(client, audio),
        upload_directly(client, audio),
    ]
    for place in places:
        for _ in range(4):  # a worker that may not read its queue would never end a job
            job = client.get(place, params={"wait": 30}).json()
            if job["finished_at"] is not None:
                break
        assert job["state"] == "succeeded"
    given_up = client.post("/v1/tus", headers={"Tus-Resumable": "1.0.0", "Upload-Length": str(12 * MIB)})
    at = given_up.headers["location"]
    headers = {
        "Tus-Resumable": "1.0.0",
        "Upload-Offset": "0",
        "Content-Type": "application/offset+octet-stream",
    }
    client.patch(at, headers=headers, content=audio[: 6 * MIB])
    assert client.delete(at, headers={"Tus-Resumable": "1.0.0"}).status_code == 204
    assert client.delete(places[0]).status_code in (200, 204)
    assert ready(client) == {"status": "ready", "jobs": True, "audio": True, "workers": 1}


def sweep(url: str, *, bucket: str) -> None:
    """As the sweeper, which runs too seldom to wait for it."""
    client = connect_s3(endpoint_url=url, region="us-east-1")
    store = S3AudioStore(client, bucket=bucket, prefix="audio/", part_bytes=5 * MIB)
    upload = store.start_upload("unfinished", media_type="audio/wav")
    upload.write(bytes(1000), number=1)
    assert "unfinished" in {found.key for found in store.list_older_than(before=time.time() + 60)}
    upload.abort()
    client.close()


def test_the_documented_permissions_are_enough(
    valkey: ValkeyServer, s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"t{uuid.uuid4().hex[:8]}"
    password = secrets.token_hex(8)
    user = documented(r"\nACL SETUSER kammerton ([^\n]+)\n").replace("PASSWORD", password)
    policy = documented(r"```json\n(\{\n  \"Version.*?)```").replace("s3:::kammerton", f"s3:::{name}")
    admin: Any = redis.Redis.from_url(valkey.url, decode_responses=True)
    admin.execute_command("ACL", "SETUSER", name, *user.replace("kammerton:", f"{name}:").split())
    admin.execute_command("ACL", "LOG", "RESET")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret_key)
    connect_s3(endpoint_url=s3.endpoint_url, region=s3.region).create_bucket(Bucket=name)
    try:
        with s3_with_policy(s3, policy) as limited:
            settings = {
                "KAMMERTON_REDIS_URL": f"redis://{name}:{password}@{urlsplit(valkey.url).netloc.rpartition('@')[2]}/0",
                "KAMMERTON_REDIS_PREFIX": f"{name}:",
                "KAMMERTON_S3_ENDPOINT_URL": limited.url,
                "KAMMERTON_S3_BUCKET": name,
                "KAMMERTON_S3_REGION": s3.region,
                "AWS_ACCESS_KEY_ID": s3.access_key,
                "AWS_SECRET_ACCESS_KEY": s3.secret_key,
            }
            with running_system(tmp_path / "data", **settings) as system:
                use_everything(system)
            sweep(limited.url, bucket=name)
        denied = {(entry["username"], entry["object"]) for entry in admin.execute_command("ACL", "LOG")}
        assert denied <= {(name, "config|get")}
        rules = ("s3:GetLifecycleConfiguration", "s3:GetBucketCORS")
        assert limited.refused <= {f"{action} arn:aws:s3:::{name}" for action in rules}
        assert limited.allowed == {
            action for statement in limited.statements for action in statement["Action"]
        }
    finally:
        admin.execute_command("ACL", "DELUSER", name)
        admin.close()

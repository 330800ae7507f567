"""A bucket may hold what belongs to others, and a key may be allowed little."""

import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from botocore.stub import Stubber
from structlog.testing import capture_logs

from shared.errors import Unavailable
from shared.s3.audio_store import S3AudioStore
from shared.s3.bucket import BucketRules, BucketSetup
from shared.s3.client import connect_s3
from tests.support.servers import S3Server

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

EXPIRE = {
    "ID": "backups-expire",
    "Status": "Enabled",
    "Filter": {"Prefix": "backups/"},
    "Expiration": {"Days": 30},
}
OTHER_APP = {"AllowedOrigins": ["https://other.example"], "AllowedMethods": ["GET"], "AllowedHeaders": ["*"]}
OURS = ("kammerton-abort-unfinished-uploads:audio/", "kammerton-uploads:audio/")


class Bucket:
    def __init__(self, client: "S3Client") -> None:
        self.client = client
        self.name = f"t{uuid.uuid4().hex[:8]}"
        self.calls: list[str] = []
        client.meta.events.register("before-call.s3", lambda model, **_: self.calls.append(model.name))

    def setup(
        self, *, prefix: str = "audio/", rules: BucketRules = "created", origins: tuple[str, ...] = ("*",)
    ) -> BucketSetup:
        return BucketSetup(
            client=self.client, bucket=self.name, prefix=prefix, rules=rules, cors_origins=origins
        )

    def make_shared(self) -> None:
        """As if it had belonged to others before us."""
        self.client.create_bucket(Bucket=self.name)
        rules: Any = {"Rules": [EXPIRE]}
        self.client.put_bucket_lifecycle_configuration(Bucket=self.name, LifecycleConfiguration=rules)
        cors: Any = {"CORSRules": [OTHER_APP]}
        self.client.put_bucket_cors(Bucket=self.name, CORSConfiguration=cors)

    def ids(self) -> tuple[list[str | None], list[str | None]]:
        lifecycle = self.client.get_bucket_lifecycle_configuration(Bucket=self.name)["Rules"]
        cors = self.client.get_bucket_cors(Bucket=self.name)["CORSRules"]
        return [rule.get("ID") for rule in lifecycle], [rule.get("ID") for rule in cors]

    def origins(self) -> list[list[str]]:
        found = self.client.get_bucket_cors(Bucket=self.name)["CORSRules"]
        return sorted(rule["AllowedOrigins"] for rule in found)

    def writes(self) -> list[str]:
        made, self.calls = self.calls, []
        return [call for call in made if call.startswith(("Put", "Create"))]

    def refuse(self, *calls: str, status: int, code: str) -> None:
        """Answer these calls as a server does that knows no such call, or whose policy forbids it."""

        def answer(**_: Any) -> Any:
            response = type("Response", (), {"status_code": status, "headers": {}})()
            return response, {
                "Error": {"Code": code, "Message": "no"},
                "ResponseMetadata": {"HTTPStatusCode": status},
            }

        for call in calls:
            self.client.meta.events.register(f"before-call.s3.{call}", answer)


@pytest.fixture
def bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret_key)
    with closing(connect_s3(endpoint_url=s3.endpoint_url, region=s3.region)) as client:
        yield Bucket(client)


def test_a_bucket_that_we_made_gets_our_rules_and_is_not_written_again(bucket: Bucket) -> None:
    bucket.setup().prepare()
    assert bucket.ids() == ([OURS[0]], [OURS[1]])
    bucket.writes()
    bucket.setup().prepare()
    assert bucket.writes() == []


def test_rules_of_others_stay_and_ours_are_not_added_by_default(bucket: Bucket) -> None:
    bucket.make_shared()
    bucket.writes()
    bucket.setup().prepare()
    assert bucket.writes() == []
    assert bucket.ids()[0] == [EXPIRE["ID"]]


def test_ours_are_merged_where_the_setting_allows_it(bucket: Bucket) -> None:
    bucket.make_shared()
    bucket.setup(rules="always").prepare()
    assert bucket.ids()[0] == [EXPIRE["ID"], OURS[0]]
    assert bucket.origins() == [["*"], ["https://other.example"]]
    bucket.setup(origins=("https://a.example",)).prepare()  # our rules are there: this bucket is known to us
    assert bucket.origins() == [["https://a.example"], ["https://other.example"]]
    bucket.setup(prefix="second/", rules="always").prepare()
    assert len(bucket.ids()[0]) == 3
    bucket.writes()
    bucket.setup(rules="never", origins=("https://b.example",)).prepare()
    assert bucket.writes() == []


@pytest.mark.parametrize(
    ("status", "code"), [(403, "AccessDenied"), (501, "NotImplemented"), (405, "MethodNotAllowed")]
)
def test_a_refused_call_is_told_once_with_its_permission(bucket: Bucket, status: int, code: str) -> None:
    bucket.client.create_bucket(Bucket=bucket.name)
    bucket.refuse("PutBucketCors", "PutBucketLifecycleConfiguration", status=status, code=code)
    setup = bucket.setup(rules="always")
    with capture_logs() as lines:
        setup.prepare()
        setup.prepare()
    told = [(line["event"], line["call"], line["permission"], line["status"]) for line in lines]
    assert told == [
        (
            "bucket_call_refused",
            "PutBucketLifecycleConfiguration",
            "s3:PutLifecycleConfiguration",
            status,
        ),
        ("bucket_call_refused", "PutBucketCors", "s3:PutBucketCORS", status),
    ]


@pytest.mark.parametrize("call", ["PutObject", "GetObject"])
def test_ready_means_that_objects_can_be_written_and_read(bucket: Bucket, call: str) -> None:
    bucket.setup().prepare()
    store = S3AudioStore(bucket.client, bucket=bucket.name, prefix="audio/", part_bytes=5 * 1024 * 1024)
    store.check()
    assert list(store.list_older_than(before=time.time() + 60)) == []  # its probe is nobody's audio
    bucket.refuse(call, status=403, code="AccessDenied")
    other = S3AudioStore(bucket.client, bucket=bucket.name, prefix="audio/", part_bytes=5 * 1024 * 1024)
    with pytest.raises(Unavailable):
        other.check()


def test_rules_that_may_not_be_read_are_not_replaced(bucket: Bucket) -> None:
    bucket.make_shared()
    bucket.refuse(
        "GetBucketCors", "GetBucketLifecycleConfiguration", "HeadBucket", status=403, code="AccessDenied"
    )
    bucket.writes()
    bucket.setup(rules="always").prepare()
    assert bucket.writes() == []


def version_rules(bucket: Bucket) -> list[Any]:
    found = bucket.client.get_bucket_lifecycle_configuration(Bucket=bucket.name)["Rules"]
    return [rule.get("NoncurrentVersionExpiration") for rule in found]


def enable_versions(bucket: Bucket) -> None:
    bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})


def test_old_versions_of_deleted_audio_expire(bucket: Bucket) -> None:
    bucket.setup().prepare()
    assert version_rules(bucket) == [None]
    enable_versions(bucket)
    with capture_logs() as lines:
        bucket.setup().prepare()
    assert version_rules(bucket) == [{"NoncurrentDays": 1}]
    assert lines == []
    bucket.writes()
    bucket.setup().prepare()
    assert bucket.writes() == []


def test_a_versioned_bucket_of_others_gets_no_rule_but_a_warning(bucket: Bucket) -> None:
    bucket.make_shared()
    enable_versions(bucket)
    setup = bucket.setup()
    with capture_logs() as lines:
        setup.prepare()
        setup.prepare()
    assert [(line["event"], line["bucket"]) for line in lines] == [
        ("bucket_keeps_deleted_audio", bucket.name)
    ]
    assert version_rules(bucket) == [None]
    bucket.setup(rules="always").prepare()
    assert version_rules(bucket) == [None, {"NoncurrentDays": 1}]


@pytest.mark.parametrize(
    ("endpoint", "region", "location"),
    [
        (None, "eu-central-1", {"CreateBucketConfiguration": {"LocationConstraint": "eu-central-1"}}),
        (None, "us-east-1", {}),
        ("https://s3.example", "eu-central-1", {}),
    ],
)
def test_a_bucket_is_created_in_its_region(
    monkeypatch: pytest.MonkeyPatch, endpoint: str | None, region: str, location: dict[str, Any]
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with closing(connect_s3(endpoint_url=endpoint, region=region)) as client, Stubber(client) as server:
        server.add_client_error("head_bucket", http_status_code=404)
        server.add_response("create_bucket", {}, {"Bucket": "songs", **location})
        server.add_response("get_bucket_versioning", {})
        BucketSetup(client=client, bucket="songs", prefix="audio/", rules="never").prepare()
        server.assert_no_pending_responses()

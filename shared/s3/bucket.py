"""Prepare the bucket: create it, and keep our own lifecycle and CORS rules in it.

A bucket can be shared. So rules are merged by their ID, and a call that the server or the key refuses is
logged, and is not a reason to stop: whether uploads work, only an upload shows (see `S3AudioStore.check`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from botocore.exceptions import ClientError

from shared.observability.logs import get_logger
from shared.s3.client import status_of, translate_s3_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_log = get_logger(__name__)

BucketRules = Literal["created", "always", "never"]
"""Where to set rules: in a bucket that Kammerton created, in any bucket, nowhere."""

_AMAZON = ".amazonaws.com"
_AMAZON_DEFAULT_REGION = "us-east-1"

_REFUSALS = (400, 401, 403, 405, 501)
"""Of a server that does not know a call, or of a key that may not use it. Trying again does not help."""
_PERMISSIONS = {
    "HeadBucket": "s3:ListBucket",
    "CreateBucket": "s3:CreateBucket",
    "GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "GetBucketVersioning": "s3:GetBucketVersioning",
    "GetBucketCors": "s3:GetBucketCORS",
    "PutBucketCors": "s3:PutBucketCORS",
}

_Rule = Mapping[str, Any]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _RuleKind:
    """Lifecycle and CORS rules have the same calls."""

    rule: _Rule
    read_call: str
    read: Callable[[], Sequence[_Rule]]
    write_call: str
    write: Callable[[list[Any]], object]


@dataclass(slots=True, kw_only=True)
class BucketSetup:
    """Prepares one bucket, as often as the API starts."""

    client: "S3Client"
    bucket: str
    prefix: str
    rules: BucketRules = "created"
    cors_origins: Sequence[str] = ()
    """Empty: no CORS rule is set."""
    orphan_days: int = 1
    _created: bool = False
    _told_versioned: bool = False
    _refused: set[str] = field(default_factory=set)

    def prepare(self) -> None:
        """Create the bucket if it is missing, and set our rules where they may be set.

        Raises Unavailable.
        """
        with translate_s3_errors():
            self._create_if_missing()
            is_versioned = self._is_versioned()
            if self.rules == "never":
                self._warn_of_versions(is_versioned)
                return
            kinds = [
                self._lifecycle(is_versioned=is_versioned),
                *([self._cors()] if self.cors_origins else []),
            ]
            found = [(kind, self._read(kind)) for kind in kinds]
            is_ours = self._created or any(_index(kind.rule, rules) is not None for kind, rules in found)
            if self.rules == "always" or is_ours:
                for kind, rules in found:
                    self._merge(kind, rules)
            else:
                self._warn_of_versions(is_versioned)

    def _create_if_missing(self) -> None:
        try:
            self.client.head_bucket(Bucket=self.bucket)
        except ClientError as error:
            if status_of(error) != 404:
                self._log_refusal("HeadBucket", error)
            else:
                created = self._try(
                    "CreateBucket", lambda: self.client.create_bucket(Bucket=self.bucket, **self._location())
                )
                self._created = created is not None

    def _location(self) -> Any:
        """Amazon creates a bucket in another region than its default only if the request names it."""
        region = self.client.meta.region_name
        if region == _AMAZON_DEFAULT_REGION or _AMAZON not in self.client.meta.endpoint_url:
            return {}
        return {"CreateBucketConfiguration": {"LocationConstraint": region}}

    def _is_versioned(self) -> bool:
        """Whether deleted objects stay as old versions. False if the server does not say."""
        found = self._try(
            "GetBucketVersioning", lambda: self.client.get_bucket_versioning(Bucket=self.bucket)
        )
        return found is not None and found.get("Status") == "Enabled"

    def _warn_of_versions(self, is_versioned: bool) -> None:
        if is_versioned and not self._told_versioned:
            self._told_versioned = True
            _log.warning(
                "bucket_keeps_deleted_audio",
                bucket=self.bucket,
                advice="Expire old versions below the prefix, or set KAMMERTON_S3_BUCKET_RULES=always.",
            )

    def _read(self, kind: _RuleKind) -> Sequence[_Rule] | None:
        """The bucket's rules. None: unknown, so they must not be replaced."""
        try:
            return self._try(kind.read_call, kind.read)
        except ClientError as error:
            if status_of(error) == 404:
                return ()
            raise

    def _merge(self, kind: _RuleKind, rules: Sequence[_Rule] | None) -> None:
        if rules is None:
            return
        at = _index(kind.rule, rules)
        if at is not None and _is_same(kind.rule, rules[at]):
            return
        others = [rule for index, rule in enumerate(rules) if index != at]
        self._try(kind.write_call, lambda: kind.write([*others, dict(kind.rule)]))

    def _try(self, call: str, send: Callable[[], _T]) -> _T | None:
        try:
            return send()
        except ClientError as error:
            if status_of(error) == 404 and call.startswith("Get"):
                raise
            self._log_refusal(call, error)
            return None

    def _log_refusal(self, call: str, error: ClientError) -> None:
        status = status_of(error)
        if status not in _REFUSALS:
            raise error
        if call not in self._refused:
            self._refused.add(call)
            _log.warning(
                "bucket_call_refused",
                call=call,
                permission=_PERMISSIONS[call],
                status=status,
                code=error.response.get("Error", {}).get("Code"),
            )

    def _lifecycle(self, *, is_versioned: bool) -> _RuleKind:
        def read() -> Sequence[_Rule]:
            return self.client.get_bucket_lifecycle_configuration(Bucket=self.bucket).get("Rules", [])

        def write(rules: list[Any]) -> object:
            return self.client.put_bucket_lifecycle_configuration(
                Bucket=self.bucket, LifecycleConfiguration={"Rules": rules}
            )

        rule: dict[str, Any] = {
            "ID": f"kammerton-abort-unfinished-uploads:{self.prefix}",
            "Status": "Enabled",
            "Filter": {"Prefix": self.prefix},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": self.orphan_days},
        }
        if is_versioned:
            rule["NoncurrentVersionExpiration"] = {"NoncurrentDays": self.orphan_days}
            rule["Expiration"] = {"ExpiredObjectDeleteMarker": True}
        return _RuleKind(
            rule=rule,
            read_call="GetBucketLifecycleConfiguration",
            read=read,
            write_call="PutBucketLifecycleConfiguration",
            write=write,
        )

    def _cors(self) -> _RuleKind:
        def read() -> Sequence[_Rule]:
            return self.client.get_bucket_cors(Bucket=self.bucket).get("CORSRules", [])

        def write(rules: list[Any]) -> object:
            return self.client.put_bucket_cors(Bucket=self.bucket, CORSConfiguration={"CORSRules": rules})

        rule = {
            "ID": f"kammerton-uploads:{self.prefix}",
            "AllowedOrigins": list(self.cors_origins),
            "AllowedMethods": ["PUT", "POST"],
            "AllowedHeaders": ["*"],
            "ExposeHeaders": ["ETag"],
            "MaxAgeSeconds": 3600,
        }
        return _RuleKind(
            rule=rule, read_call="GetBucketCors", read=read, write_call="PutBucketCors", write=write
        )


def _index(rule: _Rule, rules: Sequence[_Rule] | None) -> int | None:
    ids = [other.get("ID") for other in rules or ()]
    return ids.index(rule["ID"]) if rule["ID"] in ids else None


def _is_same(ours: _Rule, found: _Rule) -> bool:
    """Whether the bucket's rule says the same. Servers change the order of lists, and drop empty values."""

    def comparable(rule: _Rule) -> dict[str, Any]:
        return {
            name: sorted(value) if isinstance(value, list) else value for name, value in rule.items() if value
        }

    return comparable(ours) == comparable(found)

"""Where data is kept: Redis and S3."""

from typing import Literal

from pydantic import AliasChoices, Field, field_validator

from shared.settings.base import MIB, HttpUrl, SettingsGroup, TextList, check_url


class StorageSettings(SettingsGroup):
    """Redis and S3."""

    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        repr=False,
        description="`redis://` or `sentinel://HOST,HOST/0?master=NAME`. Over TLS: `rediss://`, `sentinels://`.",
    )
    broker_url: str = Field(
        "",
        repr=False,
        description="URL of another Redis for the messages that wake workers. Empty: the same Redis.",
    )
    redis_max_memory_share: float = Field(
        0.85, gt=0, le=1, description="Share of Redis's `maxmemory` from which on no job is accepted (503)."
    )
    redis_prefix: str = Field("kammerton:", description="Prefix of every key in Redis.")
    s3_endpoint_url: HttpUrl = Field(None, repr=False, description="S3 server. Empty: Amazon S3.")
    s3_bucket: str = Field("kammerton", description="Bucket for audio. Created at start if it is missing.")
    s3_prefix: str = Field("audio/", description="Prefix of every object's name.")
    s3_region: str = Field(
        "us-east-1",
        description="Region of the bucket.",
        validation_alias=AliasChoices("KAMMERTON_S3_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"),
    )
    s3_part_bytes: int = Field(8 * MIB, ge=5 * MIB, description="Part size of multipart uploads, bytes.")
    s3_public_url: HttpUrl = Field(
        None,
        repr=False,
        description="S3 server as clients reach it for presigned uploads. Empty: the endpoint.",
    )
    s3_cors_origins: TextList = Field(
        ("*",),
        description="Web origins that may upload to S3 directly, comma-separated. Empty: the bucket's CORS "
        "rules are left alone.",
    )
    s3_bucket_rules: Literal["created", "always", "never"] = Field(
        "created",
        description="Where to set Kammerton's own CORS and lifecycle rules: in a bucket that Kammerton "
        "`created`, in any (`always`), or in none (`never`). Other rules are kept.",
    )

    @field_validator("redis_url", "broker_url")
    @classmethod
    def _check_redis_url(cls, url: str) -> str:
        if not url:
            return url
        scheme = url.partition("://")[0]
        if scheme not in {"redis", "rediss", "sentinel", "sentinels"}:
            raise ValueError("a Redis URL must begin with redis://, rediss://, sentinel:// or sentinels://")
        if scheme.startswith("sentinel") and "master=" not in url:
            raise ValueError(f"a {scheme}:// URL must end with ?master=NAME")
        return check_url(url)

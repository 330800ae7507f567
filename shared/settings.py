"""Every knob with its unit and default. Read once, at the door, from KAMMERTON_* variables."""

import re
import sys
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.domain.delivery import RETRY_DELAYS_SECONDS
from shared.outbound.address_rules import Network, parse_networks

MIB = 1024 * 1024

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s\[\]:@]+)(:[0-9]{1,5})?", re.ASCII)


class Settings(BaseSettings):
    """Frozen. Passed as plain values to whatever needs one of them.

    What may hold a password has `repr=False`, and is not repeated when it is wrong.
    """

    model_config = SettingsConfigDict(
        env_prefix="KAMMERTON_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        repr=False,
        description="redis://, rediss:// or sentinel://HOST,HOST/0?master=NAME.",
    )
    redis_prefix: str = Field("kammerton:", description="Stands before every key of ours in Redis.")
    s3_endpoint_url: str | None = Field(None, repr=False, description="S3 server; empty: Amazon's.")
    s3_bucket: str = Field("kammerton", description="Bucket for uploads; made at start where it is missing.")
    s3_prefix: str = Field("audio/", description="Stands before every object's name.")
    s3_region: str = Field(
        "us-east-1",
        description="Region of the bucket.",
        validation_alias=AliasChoices("KAMMERTON_S3_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"),
    )
    s3_part_bytes: int = Field(8 * MIB, ge=5 * MIB, description="Size of a multipart upload's parts, bytes.")
    s3_public_url: str | None = Field(
        None,
        repr=False,
        description="Where clients reach the S3 server for direct uploads; empty: at its endpoint.",
    )
    s3_cors_origins: str = Field(
        "*", description="Web origins that may upload directly, separated by commas; empty: leave CORS alone."
    )
    direct_part_bytes: int = Field(
        64 * MIB, ge=5 * MIB, description="Direct uploads above this size come in parts of this size, bytes."
    )
    direct_upload_seconds: float = Field(
        3600, ge=60, le=7 * 24 * 3600, description="How long a direct upload may take, seconds."
    )
    max_upload_bytes: int = Field(2048 * MIB, gt=0, description="Largest upload accepted, bytes.")
    upload_idle_seconds: float = Field(
        30, gt=0, description="A client that sends nothing for so long is cut off."
    )
    upload_least_bytes_per_second: float = Field(
        1024, gt=0, description="A client that sends more slowly than this is cut off, bytes/s."
    )
    upload_wait_seconds: float = Field(
        10, ge=0, description="How long a new upload waits for memory before it is told to come back."
    )
    upload_buffer_bytes: int = Field(
        64 * MIB, gt=0, description="Memory for parts of all uploads of one API process together, bytes."
    )
    upload_parts_in_flight: int = Field(
        2, ge=1, description="Parts of one upload that are on their way to storage at once."
    )
    window_seconds: float = Field(60, gt=0, le=600, description="How much audio a job listens to, seconds.")
    job_wall_seconds: float = Field(60, gt=0, description="Longest time that one attempt may take, seconds.")
    job_memory_bytes: int = Field(
        200 * MIB, ge=64 * MIB, description="Memory of one attempt above the worker's own."
    )
    worker_memory_bytes: int = Field(
        250 * MIB, gt=0, description="What a worker takes without any job: decides how many run at once."
    )
    worker_jobs_per_child: int = Field(200, ge=1, description="A child is replaced after so many jobs.")
    drain_seconds: float = Field(
        3, ge=0, description="A worker that is told to stop hands its jobs back after so long."
    )
    stalled_seconds: float = Field(
        150, gt=0, description="Work waits and none was started for so long: the worker is unhealthy."
    )
    job_attempts: int = Field(3, ge=1, description="How often a job is started before it is given up.")
    lease_seconds: float = Field(
        15, gt=0, description="A worker that is silent for so long has lost its job."
    )
    retry_seconds: float = Field(5, ge=0, description="Pause before another attempt, seconds.")
    keep_seconds: float = Field(
        24 * 3600, gt=0, description="How long a job is kept after it was made, seconds."
    )
    keep_audio: bool = Field(False, description="Keep the audio of finished jobs until they expire.")
    reuse_reports: bool = Field(
        True,
        description="Answer an upload of the same bytes from the report of the caller's earlier job, "
        "as long as that is kept.",
    )
    rescue_seconds: float = Field(2, gt=0, description="Pause between two rounds of the rescuer, seconds.")
    orphan_seconds: float = Field(
        60, gt=0, description="Storage that no job and no living upload names is removed after so long."
    )
    outbound_allowed_networks: Annotated[tuple[Network, ...], NoDecode] = Field(
        (),
        description="Networks that webhooks and source addresses may lie in though they are not public, "
        "e.g. `127.0.0.0/8,10.1.0.0/16`.",
    )
    outbound_proxy: str | None = Field(
        None,
        repr=False,
        description="Egress proxy for webhooks and source addresses, `http://[user:password@]host:port`.",
    )
    source_allow_http: bool = Field(False, description="Fetch audio from http:// addresses as well.")
    source_spool_bytes: int = Field(
        16 * MIB,
        ge=1 * MIB,
        description="So much of the beginning is fetched from a server without ranged requests, and held in "
        "memory, bytes. An address counts as so much of its caller's bytes a day.",
    )
    source_read_bytes: int = Field(
        128 * MIB,
        ge=1 * MIB,
        description="What one attempt fetches at most from a server with ranges, bytes.",
    )
    source_seconds: float = Field(
        60,
        gt=0,
        le=600,
        description="What one attempt waits for the server of its audio, altogether, seconds.",
    )
    source_answer_seconds: float = Field(
        10, gt=0, le=60, description="A server that has not begun to answer after so long is away, seconds."
    )
    source_retry_seconds: Annotated[tuple[Annotated[float, Field(ge=0)], ...], NoDecode] = Field(
        (5, 30, 120, 600, 1800),
        description="Pauses before a server that was away is asked again, seconds; then the job fails.",
    )
    webhook_allow_http: bool = Field(False, description="Deliver webhooks to http:// addresses as well.")
    webhook_timeout_seconds: float = Field(
        15, gt=0, le=60, description="A receiver that has not answered after so long has failed, seconds."
    )
    webhook_retry_seconds: Annotated[tuple[Annotated[float, Field(ge=0)], ...], NoDecode] = Field(
        RETRY_DELAYS_SECONDS,
        description="Pauses between the attempts to deliver a webhook, seconds, e.g. `5,60,300`.",
    )
    webhook_concurrency: int = Field(
        64, ge=4, le=1000, description="Webhooks that one notifier sends at once."
    )
    webhook_server_concurrency: int = Field(4, ge=1, description="Of these to one server.")
    log_format: str = Field("console", pattern="^(console|json)$", description="`console` or `json`.")
    log_level: str = Field(
        "INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level that is logged."
    )
    log_filenames: bool = Field(False, description="Write the names of uploaded files to the log.")
    anonymous: bool = Field(
        False, description="Let anybody submit jobs; who knows a job's id may see it. Off: only API keys."
    )
    traces_url: str | None = Field(
        None,
        repr=False,
        description="OTLP/HTTP address for traces, like http://collector:4318/v1/traces; empty: none.",
    )
    metrics_public: bool = Field(
        False, description="Show /metrics to anybody. Off: to API keys with the scope admin:read."
    )
    limits: bool = Field(
        True, description="Whether keys and addresses have limits. Off: on your own machine."
    )
    requests_per_minute: int = Field(600, ge=1, description="Requests of one key or address.")
    uploads_at_once: int = Field(8, ge=1, description="Files that one key or address sends at once.")
    bytes_per_day: int = Field(
        50 * 1024 * MIB, ge=1, description="What one key or address may upload in a day, bytes."
    )
    jobs_queued: int = Field(500, ge=1, description="Jobs of one key or address that may wait.")
    queue_most: int = Field(
        10_000, ge=1, description="Jobs that may wait altogether before the answer is 503."
    )
    hosts: str = Field("", description="Names that the API answers to, with commas between; empty: any.")
    cors_origins: str = Field(
        "", description="Origins whose pages may call the API, with commas between; `*`: any."
    )
    proxies: str = Field(
        "",
        description="Addresses or networks of proxies whose X-Forwarded-* is believed, with commas between.",
    )
    admin_password: SecretStr | None = Field(
        None,
        repr=False,
        description="Password of the dashboard's operator; none: one is made and printed at the first start.",
    )
    viewer_password: SecretStr | None = Field(
        None,
        repr=False,
        description="Password of those who may look at the dashboard but not act; none: nobody may.",
    )

    @field_validator("outbound_allowed_networks", mode="before")
    @classmethod
    def _networks(cls, given: object) -> object:
        return parse_networks(given) if isinstance(given, str) else given

    @field_validator("webhook_retry_seconds", "source_retry_seconds", mode="before")
    @classmethod
    def _pauses(cls, given: object) -> object:
        return [part.strip() for part in given.split(",")] if isinstance(given, str) else given

    @field_validator("redis_url")
    @classmethod
    def _address_of_redis(cls, url: str) -> str:
        if url.partition("://")[0] not in {"redis", "rediss", "sentinel"}:
            raise ValueError("an address of Redis begins with redis://, rediss:// or sentinel://")
        if url.startswith("sentinel://") and "master=" not in url:
            raise ValueError("a sentinel:// address ends with ?master=NAME")
        return _checked(url)

    @field_validator("s3_endpoint_url", "s3_public_url", "traces_url")
    @classmethod
    def _address_of_http(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if url.partition("://")[0] not in {"http", "https"}:
            raise ValueError("it begins with http:// or https://")
        if "@" in urlsplit(url).netloc:
            raise ValueError("it has no user and no password in it")
        return _checked(url)

    @field_validator("outbound_proxy")
    @classmethod
    def _address_of_proxy(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(_checked(url))
        if parts.scheme != "http" or parts.path not in {"", "/"} or parts.query or parts.fragment:
            raise ValueError("a proxy is http://[user:password@]host:port")
        return url

    @model_validator(mode="after")
    def _times_fit_together(self) -> Self:
        if self.lease_seconds < 2 * self.rescue_seconds:
            raise ValueError("KAMMERTON_LEASE_SECONDS must be at least twice KAMMERTON_RESCUE_SECONDS")
        if self.stalled_seconds <= self.job_wall_seconds + self.source_seconds:
            raise ValueError(
                "KAMMERTON_STALLED_SECONDS must be more than KAMMERTON_JOB_WALL_SECONDS and "
                "KAMMERTON_SOURCE_SECONDS together"
            )
        return self

    @model_validator(mode="after")
    def _buffers_hold_two_parts(self) -> Self:
        if self.upload_buffer_bytes < 2 * self.s3_part_bytes:
            raise ValueError(
                "KAMMERTON_UPLOAD_BUFFER_BYTES must be at least twice KAMMERTON_S3_PART_BYTES: "
                "one part fills while another is on its way"
            )
        return self


def _checked(url: str) -> str:
    """An address of one host or, for Sentinels, some. Its parts stand in no message: they may be secret."""
    try:
        parts = urlsplit(url)
        hosts = parts.netloc.rpartition("@")[2].split(",")
    except ValueError:
        hosts = []
    if not hosts or not all(_HOST.fullmatch(host) for host in hosts):
        raise ValueError(_UNREADABLE)
    if "@" in parts.path + parts.query + parts.fragment:
        raise ValueError(_UNREADABLE)
    return url


_UNREADABLE = (
    "its host or port can't be read; in a user or a password, write / ? # @ : % as %2F %3F %23 %40 %3A %25"
)


def split_list(text: str) -> tuple[str, ...]:
    """The entries between the commas."""
    return tuple(entry.strip() for entry in text.split(",") if entry.strip())


def read_settings() -> Settings:
    """The settings of this process. A wrong value stops it with a sentence that names the variable."""
    try:
        return Settings()
    except ValidationError as error:
        for wrong in error.errors():
            sys.stderr.write(_sentence(wrong["loc"], wrong["msg"], wrong.get("input")) + "\n")
        raise SystemExit(2) from None


def _sentence(where: tuple[int | str, ...], what: str, given: object) -> str:
    if not where:
        return f"kammerton: {what.removeprefix('Value error, ')}."
    name = str(where[0])
    variable = name if name.isupper() else f"KAMMERTON_{name.upper()}"
    what = what.removeprefix("Value error, ")
    what = what[0].lower() + what[1:]
    field = Settings.model_fields.get(name)
    shown = f"{variable}={given!s}" if field is None or field.repr else variable
    return f"kammerton: {shown}: {what}. Mend it or unset it, then start again."

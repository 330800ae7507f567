"""Requests to other people's servers: source URLs and webhooks."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from shared.domain.webhooks.delivery import RETRY_DELAYS_SECONDS
from shared.outbound.address_rules import Network, parse_networks
from shared.settings.base import MIB, DelayList, SettingsGroup, check_url


class OutboundSettings(SettingsGroup):
    """Source URLs and webhooks."""

    outbound_allowed_networks: Annotated[tuple[Network, ...], NoDecode] = Field(
        (),
        description="Private networks that webhooks and source URLs may reach, comma-separated, "
        "e.g. `127.0.0.0/8,10.1.0.0/16`.",
    )
    outbound_proxy: str | None = Field(
        None,
        repr=False,
        description="Egress proxy for webhooks and source URLs, `http://[user:password@]host:port`.",
    )
    source_allow_http: bool = Field(False, description="Also fetch audio from `http://` URLs.")
    source_spool_bytes: int = Field(
        16 * MIB,
        ge=1 * MIB,
        description="How much is fetched into memory from a server without range requests, bytes. A source "
        "URL counts as this many bytes of its caller's daily quota.",
    )
    source_read_bytes: int = Field(
        128 * MIB,
        ge=1 * MIB,
        description="The most that one attempt fetches from a server with range requests, bytes.",
    )
    source_timeout_seconds: float = Field(
        60, gt=0, le=600, description="How long one attempt waits for the source server in total, seconds."
    )
    source_response_timeout_seconds: float = Field(
        10, gt=0, le=60, description="How long a source server may take to begin its response, seconds."
    )
    source_retry_delays_seconds: DelayList = Field(
        (5, 30, 120, 600, 1800),
        description="Delays between attempts while a source server is unavailable, seconds. Empty: no retry.",
    )
    webhook_allow_http: bool = Field(False, description="Also deliver webhooks to `http://` URLs.")
    webhook_timeout_seconds: float = Field(
        15, gt=0, le=60, description="How long a webhook receiver may take to respond, seconds."
    )
    webhook_retry_delays_seconds: DelayList = Field(
        RETRY_DELAYS_SECONDS,
        description="Delays between the attempts to deliver a webhook, seconds, e.g. `5,60,300`. Empty: one "
        "attempt.",
    )
    webhook_retention_seconds: float = Field(
        3 * 24 * 3600, gt=0, description="How long a delivery is kept after it has ended, seconds."
    )
    webhook_concurrency: int = Field(
        64, ge=4, le=1000, description="Webhooks that one notifier sends at the same time."
    )
    webhook_server_concurrency: int = Field(4, ge=1, description="Webhooks to one server at the same time.")

    @field_validator("outbound_allowed_networks", mode="before")
    @classmethod
    def _parse_networks(cls, value: object) -> object:
        return parse_networks(value) if isinstance(value, str) else value

    @field_validator("outbound_proxy")
    @classmethod
    def _check_proxy_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(check_url(url))
        if parts.scheme != "http" or parts.path not in {"", "/"} or parts.query or parts.fragment:
            raise ValueError("a proxy is http://[user:password@]host:port")
        return url

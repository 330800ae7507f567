"""Who may use the service and how much, and what it tells its operator."""

from pydantic import Field, SecretStr

from shared.settings.base import MIB, AccountList, HttpUrl, RootPath, SettingsGroup, TextList


class AccessSettings(SettingsGroup):
    """Access, limits, the dashboard, logs, metrics, and traces."""

    allow_anonymous: bool = Field(
        False,
        description="Let anyone submit jobs; a job's id is the permission to see it. Off: API keys only.",
    )
    rate_limits_enabled: bool = Field(
        True, description="Limit every API key and address. Turn it off on your own machine only."
    )
    requests_per_minute: int = Field(600, ge=1, description="Requests per API key or address.")
    max_concurrent_uploads: int = Field(8, ge=1, description="Concurrent uploads per API key or address.")
    bytes_per_day: int = Field(
        50 * 1024 * MIB, ge=1, description="Uploaded bytes per API key or address and day."
    )
    max_queued_jobs_per_caller: int = Field(500, ge=1, description="Queued jobs per API key or address.")
    max_queued_jobs: int = Field(10_000, ge=1, description="Queued jobs in total before the API answers 503.")
    allowed_hosts: TextList = Field(
        (), description="Host names the API answers to, comma-separated. Empty: any."
    )
    cors_origins: TextList = Field(
        (), description="Web origins whose pages may call the API, comma-separated. `*`: any. Empty: none."
    )
    trusted_proxies: TextList = Field(
        (),
        description="Addresses or networks of proxies whose `X-Forwarded-*` headers are trusted, "
        "comma-separated. Empty: none.",
    )
    root_path: RootPath = Field(
        "",
        description="Path prefix of the whole service behind a proxy, e.g. `/kammerton`. Empty: none.",
    )
    keep_alive_seconds: int = Field(
        75, ge=1, description="How long an idle connection stays open. Longer than a proxy's own, often 60."
    )
    api_processes: int = Field(
        1, ge=1, le=64, description="API processes that share the port. Each has its own upload buffers."
    )
    max_concurrent_requests: int = Field(
        512, ge=1, description="Requests that one API process handles at once, before it answers 503."
    )
    admin_password: SecretStr | None = Field(
        None,
        repr=False,
        description="The operator's password for the dashboard. Empty: one is generated and printed at the "
        "first start.",
    )
    operators: AccountList = Field(
        (),
        repr=False,
        description="Operators with passwords of their own, as `name:password`, comma-separated. Nobody can "
        "choose another name in the audit log. Empty: all operators share one password.",
    )
    viewer_password: SecretStr | None = Field(
        None, repr=False, description="Password for read-only access to the dashboard. Empty: no such access."
    )
    log_format: str = Field("console", pattern="^(console|json)$", description="`console` or `json`.")
    log_level: str = Field(
        "INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Lowest level that is logged."
    )
    log_filenames: bool = Field(False, description="Log the names of uploaded files.")
    metrics_public: bool = Field(
        False, description="Show `/metrics` to anyone. Off: to API keys with the scope `admin:read`."
    )
    traces_url: HttpUrl = Field(
        None,
        repr=False,
        description="OTLP/HTTP URL for traces, e.g. `http://collector:4318/v1/traces`. Empty: no traces.",
    )

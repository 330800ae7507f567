"""Every setting with its unit and default, read once at start from KAMMERTON_* environment variables."""

import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

from shared.settings.access import AccessSettings
from shared.settings.jobs import JobSettings
from shared.settings.uploads import UploadSettings

RENAMED = {
    "anonymous": "allow_anonymous",
    "drain_seconds": "shutdown_grace_seconds",
    "hosts": "allowed_hosts",
    "job_wall_seconds": "job_timeout_seconds",
    "jobs_queued": "max_queued_jobs_per_caller",
    "keep_seconds": "job_retention_seconds",
    "limits": "rate_limits_enabled",
    "proxies": "trusted_proxies",
    "queue_most": "max_queued_jobs",
    "rescue_seconds": "rescuer_interval_seconds",
    "retry_seconds": "job_retry_delay_seconds",
    "source_answer_seconds": "source_response_timeout_seconds",
    "source_retry_seconds": "source_retry_delays_seconds",
    "source_seconds": "source_timeout_seconds",
    "stalled_seconds": "worker_stall_timeout_seconds",
    "upload_idle_seconds": "upload_idle_timeout_seconds",
    "upload_least_bytes_per_second": "upload_min_bytes_per_second",
    "uploads_at_once": "max_concurrent_uploads",
    "webhook_retry_seconds": "webhook_retry_delays_seconds",
}
"""Names of version 0.1 and what they are called now. The old ones work until version 0.3."""


class Settings(UploadSettings, JobSettings, AccessSettings):
    """All settings of one process, frozen. Callers get plain values from it, never the whole."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic passes it by this name
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment, then what its variables can't say under their own names."""
        return init_settings, env_settings, _OtherVariables(settings_cls, env_ignore_empty=False)

    @property
    def deprecated(self) -> dict[str, str]:
        """The deprecated variables that are set, and their replacements."""
        return _OtherVariables(type(self), env_ignore_empty=False).deprecated()


class _OtherVariables(EnvSettingsSource):
    """Deprecated names, and lists that are empty on purpose: elsewhere, an empty variable is an unset one."""

    def __call__(self) -> dict[str, Any]:
        renamed = {new: self.env_vars[_variable(old).lower()] for old, new in self._renamed()}
        lists = [name for name, field in Settings.model_fields.items() if isinstance(field.default, tuple)]
        empty = {name: "" for name in lists if self.env_vars.get(_variable(name).lower()) == ""}
        return renamed | empty

    def deprecated(self) -> dict[str, str]:
        return {_variable(old): _variable(new) for old, new in self._renamed()}

    def _renamed(self) -> list[tuple[str, str]]:
        return [(old, new) for old, new in RENAMED.items() if self.env_vars.get(_variable(old).lower())]


def read_settings() -> Settings:
    """Read the settings of this process. A wrong value ends it with a sentence that names the variable."""
    try:
        return Settings(**_secrets_in_files())
    except _UnusableFile as error:
        sys.stderr.write(f"kammerton: {error}\n")
        raise SystemExit(2) from None
    except ValidationError as error:
        for wrong in error.errors():
            sys.stderr.write(_sentence(wrong["loc"], wrong["msg"], wrong.get("input")) + "\n")
        raise SystemExit(2) from None


class _UnusableFile(Exception):
    """Raised with one sentence for the operator."""


def _secrets_in_files() -> dict[str, Any]:
    """Secrets from the files that variables with the suffix _FILE name, as orchestrators mount them."""
    env = EnvSettingsSource(Settings).env_vars
    found = {}
    for name, field in Settings.model_fields.items():
        variable = f"{_variable(name)}_FILE"
        path = None if field.repr else env.get(variable.lower())
        if not path:
            continue
        if env.get(_variable(name).lower()):
            raise _UnusableFile(f"{_variable(name)} and {variable} are both set. Unset one and restart.")
        try:
            text = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise _UnusableFile(f"{variable}={path}: the file can't be read: {reason}.") from None
        if not text:
            raise _UnusableFile(f"{variable}={path}: the file is empty. Write the value into it.")
        found[name] = text
    return found


def _variable(name: str) -> str:
    return name if name.isupper() else f"KAMMERTON_{name.upper()}"


def _sentence(location: tuple[int | str, ...], message: str, value: object) -> str:
    message = message.removeprefix("Value error, ")
    if not location:
        return f"kammerton: {message}."
    name = str(location[0])
    field = Settings.model_fields.get(name)
    shown = f"{_variable(name)}={value!s}" if field is None or field.repr else _variable(name)
    return f"kammerton: {shown}: {message[0].lower()}{message[1:]}. Fix or unset this variable and restart."

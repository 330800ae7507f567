"""Types and checks that several groups of settings use."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MIB = 1024 * 1024

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s\[\]:@]+)(:[0-9]{1,5})?", re.ASCII)
_UNREADABLE = (
    "its host or port can't be read; in a user or a password, write / ? # @ : % as %2F %3F %23 %40 %3A %25"
)


class SettingsGroup(BaseSettings):
    """Settings of one subject. What may hold a password has `repr=False`: no message repeats it."""

    model_config = SettingsConfigDict(
        env_prefix="KAMMERTON_", frozen=True, extra="ignore", env_ignore_empty=True
    )


def split_list(value: object) -> object:
    """Split text at its commas; anything else is returned as it is."""
    if not isinstance(value, str):
        return value
    return [entry.strip() for entry in value.split(",") if entry.strip()]


TextList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_list)]
"""Entries with commas between them."""

DelayList = Annotated[tuple[Annotated[float, Field(ge=0)], ...], NoDecode, BeforeValidator(split_list)]
"""Seconds with commas between them."""


def split_accounts(value: object) -> object:
    """Split `name:password` entries at their commas. Raises ValueError without repeating any of them."""
    if not isinstance(value, str):
        return value
    accounts = [
        tuple(part.strip() for part in entry.split(":", 1)) for entry in value.split(",") if entry.strip()
    ]
    if any(len(account) != 2 or not all(account) for account in accounts):
        raise ValueError("write each operator as name:password, with commas between them")
    if len({account[0] for account in accounts}) < len(accounts):
        raise ValueError("two operators have the same name")
    return accounts


AccountList = Annotated[tuple[tuple[str, SecretStr], ...], NoDecode, BeforeValidator(split_accounts)]
"""Names with their passwords."""


def check_url(url: str) -> str:
    """Return the URL if every host in it can be read. Raises ValueError without repeating any part of it."""
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


def check_http_url(url: str | None) -> str | None:
    """Return an HTTP URL without credentials. Raises ValueError."""
    if url is None:
        return None
    if url.partition("://")[0] not in {"http", "https"}:
        raise ValueError("it must begin with http:// or https://")
    if "@" in urlsplit(url).netloc:
        raise ValueError("it must not contain a user or a password")
    return check_url(url)


OWN_PATHS = frozenset(
    {"admin", "docs", "healthz", "jobs", "metrics", "openapi.json", "r", "readyz", "static", "v1"}
)
"""The first segments of the service's own paths."""
_ROOT_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+", re.ASCII)


def check_root_path(path: str) -> str:
    """Return the path prefix without a slash at its end. Raises ValueError."""
    path = path.rstrip("/")
    if not path:
        return ""
    segments = path.split("/")[1:]
    if not _ROOT_PATH.fullmatch(path) or not {".", ".."}.isdisjoint(segments):
        raise ValueError("it must look like /kammerton: letters, digits and . _ ~ - after each slash")
    if segments[0] in OWN_PATHS:
        raise ValueError(f"it must not begin with /{segments[0]}, which is a path of the service itself")
    return path


RootPath = Annotated[str, AfterValidator(check_root_path)]
"""A path prefix."""

HttpUrl = Annotated[str | None, BeforeValidator(check_http_url)]

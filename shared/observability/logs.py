"""Writes one line for each event: JSON for programs, or text for people. Neither contains secrets."""

import logging
import re
import sys
from collections.abc import MutableMapping
from contextlib import AbstractContextManager
from typing import Any

import structlog
from structlog.contextvars import bind_contextvars, bound_contextvars, get_contextvars

_SECRET_NAMES = re.compile(r"authorization|password|secret|token|cookie|signature|credential", re.IGNORECASE)
_SECRET_TEXTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(kam_[0-9A-Fa-f]{1,12}_)[0-9A-Za-z]+"), r"\1…"),
    (re.compile(r"(whsec_)[0-9A-Za-z+/=_-]+"), r"\1…"),
    (re.compile(r"(?i)((?:bearer|basic) )[0-9A-Za-z._~+/=-]{8,}"), r"\1…"),
    (re.compile(r"(://[^/\s:@]*:)[^/\s@]+@"), r"\1…@"),
    (re.compile(r"(?i)((?:X-Amz-Signature|X-Amz-Security-Token|X-Amz-Credential)=)[^&\s\"']+"), r"\1…"),
)
_HIDDEN = "…"


def configure_logs(*, log_format: str, log_level: str, log_filenames: bool = False) -> None:
    """Send the events of Kammerton and of all libraries to stderr in one format.

    *log_filenames* also logs the names of uploaded files. A name can identify a person.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                Redactor(show_filenames=log_filenames),
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(log_level)
    for noisy in (
        "botocore",
        "boto3",
        "urllib3",
        "s3transfer",
        "numba",
        "kombu",
        "amqp",
        "httpx",
        "httpx2",
        "httpcore",
        "httpcore2",
    ):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    for own_handlers in ("uvicorn", "uvicorn.error", "celery"):
        logger = logging.getLogger(own_handlers)
        logger.handlers[:] = []
        logger.propagate = True
    access = logging.getLogger(
        "uvicorn.access"
    )  # logs query strings, which can contain file names; RequestLog doesn't
    access.handlers[:] = []
    access.propagate = False


class Redactor:
    """The last processor before a line is written. Hides whatever looks like a secret, and file names."""

    def __init__(self, *, show_filenames: bool = False) -> None:
        self._left_out = {"traceparent"} if show_filenames else {"traceparent", "filename"}

    def __call__(self, _: Any, __: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
        """The event without secrets and without empty fields."""
        return {
            name: self._hidden(name, value)
            for name, value in event.items()
            if value is not None and name not in self._left_out
        }

    def _hidden(self, name: str, value: Any) -> Any:
        if _SECRET_NAMES.search(name):
            return _HIDDEN
        if isinstance(value, dict):
            return {key: self._hidden(str(key), inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self._hidden("", inner) for inner in value]
        if isinstance(value, (bool, int, float)):
            return value
        return redact(str(value))


def redact(text: str) -> str:
    """The text without API keys, webhook secrets, passwords in URLs, and signatures of links."""
    for pattern, instead in _SECRET_TEXTS:
        text = pattern.sub(instead, text)
    return text


def log_context(**fields: Any) -> AbstractContextManager[None]:
    """Put these fields into every log line from here to the end of the block."""
    return bound_contextvars(**fields)


def bind_log_context(**fields: Any) -> None:
    """Put these fields into every further log line of this request or job."""
    bind_contextvars(**fields)


def context_field(name: str) -> Any:
    """The value of a field in the current log context; None if it is not set."""
    return get_contextvars().get(name)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger for the module *name*."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger

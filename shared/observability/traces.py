"""Traces one upload through all processes, and sends the spans by OTLP if a URL is configured.

Spans are recorded when they are over, and sent by `flush` in the calling thread, because a process that forks
must not have an exporter thread. The OpenTelemetry SDK is imported only if it is used.
"""

import re
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from shared.observability.logs import get_logger

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter


_log = get_logger(__name__)

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})", re.ASCII)
_SEND_SECONDS = 2.0
_AFTER_FAILURE_SECONDS = 60.0
_MAX_BUFFERED = 1000

Value = str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceContext:
    """A position in a trace, as in the W3C `traceparent` header."""

    trace_id: str
    span_id: str
    sampled: bool

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    def child(self) -> "TraceContext":
        """A new span below this one."""
        return TraceContext(trace_id=self.trace_id, span_id=secrets.token_hex(8), sampled=self.sampled)


def new_trace_context() -> TraceContext:
    """The first span of a new trace."""
    return TraceContext(trace_id=secrets.token_hex(16), span_id=secrets.token_hex(8), sampled=True)


def parse_traceparent(traceparent: str | None) -> TraceContext | None:
    """The position in a header; None if the header is invalid."""
    found = _TRACEPARENT.fullmatch(traceparent or "")
    if found is None or set(found[1]) == {"0"} or set(found[2]) == {"0"}:
        return None
    return TraceContext(trace_id=found[1], span_id=found[2], sampled=bool(int(found[3], 16) & 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """An operation with a start and an end, in UNIX seconds."""

    name: str
    context: TraceContext
    parent: TraceContext | None
    began: float
    ended: float
    kind: str = "internal"
    """`internal`, `server`, `consumer` or `client`."""
    failed: bool = False
    attributes: Mapping[str, Value] = field(default_factory=dict)


class Traces(Protocol):
    """Takes spans."""

    is_on: bool

    def record(self, span: Span) -> None:
        """Buffer a span that is over. Never raises, never blocks."""

    def flush(self) -> None:
        """Send the buffered spans. Takes a few seconds at most, and none while the collector is down."""


class NoTraces:
    """Tracing is off."""

    is_on = False

    def record(self, span: Span) -> None:
        """Do nothing."""

    def flush(self) -> None:
        """Do nothing."""


class BufferedTraces:
    """Buffers spans until `flush`. Starts no thread, so the process can fork."""

    is_on = True

    def __init__(self, exporter: "SpanExporter", *, process: str) -> None:
        self._exporter = exporter
        self._process = process
        self._buffer: list[Span] = []
        self._lock = threading.Lock()
        self._paused_until = 0.0

    def record(self, span: Span) -> None:
        """Buffer a span. If the buffer is full, the oldest spans are dropped."""
        if span.context.sampled:
            with self._lock:
                self._buffer.append(span)
                del self._buffer[:-_MAX_BUFFERED]

    def flush(self) -> None:
        """Send the buffered spans, unless the last try failed a moment ago."""
        if not self._buffer or time.monotonic() < self._paused_until:
            return
        with self._lock:
            spans, self._buffer = self._buffer, []
        from opentelemetry.sdk.trace.export import SpanExportResult

        result = self._exporter.export([_readable(span, process=self._process) for span in spans])
        if result is not SpanExportResult.SUCCESS:
            self._paused_until = time.monotonic() + _AFTER_FAILURE_SECONDS
            _log.warning("traces_not_sent", spans=len(spans))


def open_traces(url: str | None, *, process: str) -> Traces:
    """Traces to an OTLP/HTTP URL, such as http://collector:4318/v1/traces. Without a URL, tracing is off."""
    if not url:
        return NoTraces()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return BufferedTraces(OTLPSpanExporter(endpoint=url, timeout=_SEND_SECONDS), process=process)


def _readable(span: Span, *, process: str) -> "ReadableSpan":
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
    from opentelemetry.trace.status import Status, StatusCode

    def otel_context(context: TraceContext, *, is_remote: bool) -> SpanContext:
        flags = TraceFlags(TraceFlags.SAMPLED if context.sampled else TraceFlags.DEFAULT)
        return SpanContext(int(context.trace_id, 16), int(context.span_id, 16), is_remote, flags)

    return ReadableSpan(
        name=span.name,
        context=otel_context(span.context, is_remote=False),
        parent=otel_context(span.parent, is_remote=True) if span.parent else None,
        resource=Resource({"service.name": f"kammerton-{process}", "service.namespace": "kammerton"}),
        attributes=dict(span.attributes),
        kind=SpanKind[span.kind.upper()],
        status=Status(StatusCode.ERROR if span.failed else StatusCode.UNSET),
        start_time=int(span.began * 1e9),
        end_time=int(span.ended * 1e9),
        instrumentation_scope=InstrumentationScope("kammerton"),
    )

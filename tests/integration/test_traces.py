import http.server
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from shared.observability.traces import (
    BufferedTraces,
    NoTraces,
    Span,
    TraceContext,
    new_trace_context,
    open_traces,
    parse_traceparent,
)

HEADER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Collector(http.server.BaseHTTPRequestHandler):
    bodies: list[bytes]

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running_collector() -> Iterator[tuple[str, list[bytes]]]:
    bodies: list[bytes] = []
    handler = type("Handler", (Collector,), {"bodies": bodies})
    server = http.server.HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/traces", bodies
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def make_span(**changes: object) -> Span:
    parent = parse_traceparent(HEADER)
    assert parent is not None
    fields: dict[str, object] = {
        "name": "attempt",
        "context": parent.child(),
        "parent": parent,
        "began": 10.0,
        "ended": 12.5,
        "kind": "consumer",
        "attributes": {"kammerton.job_id": "j", "n": 3},
    }
    return Span(**fields | changes)  # type: ignore[arg-type]


def test_a_trace_context_is_parsed_from_its_header() -> None:
    context = parse_traceparent(HEADER)
    assert context is not None
    assert str(context) == HEADER
    child = context.child()
    assert (child.trace_id, child.sampled) == (context.trace_id, True)
    assert child.span_id != context.span_id
    assert parse_traceparent(str(new_trace_context())) is not None


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "x",
        HEADER + "-",
        HEADER.upper(),
        HEADER.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
    ],
)
def test_an_invalid_header_has_no_trace_context(header: str | None) -> None:
    assert parse_traceparent(header) is None


def test_spans_arrive_unchanged_at_the_collector() -> None:
    with running_collector() as (url, bodies):
        traces = open_traces(url, process="worker")
        traces.record(make_span(failed=True))
        traces.flush()
        traces.flush()
    assert len(bodies) == 1
    (resource,) = ExportTraceServiceRequest.FromString(bodies[0]).resource_spans
    names = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
    assert names["service.name"] == "kammerton-worker"
    (span,) = resource.scope_spans[0].spans
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == (
        "attempt",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "00f067aa0ba902b7",
    )
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (10_000_000_000, 12_500_000_000)
    assert span.status.code == 2
    assert {pair.key for pair in span.attributes} == {"kammerton.job_id", "n"}


def test_no_thread_is_started_so_the_process_can_fork() -> None:
    with running_collector() as (url, bodies):
        before = threading.active_count()
        traces = open_traces(url, process="worker")
        traces.record(make_span())
        traces.flush()
        assert threading.active_count() <= before
    assert bodies


def test_an_unavailable_collector_is_called_once_a_minute() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        traces = open_traces(f"http://127.0.0.1:{closed.getsockname()[1]}/v1/traces", process="worker")
        assert isinstance(traces, BufferedTraces)
        traces.record(make_span())
        traces.flush()
        assert traces._paused_until > time.monotonic() + 50
        exports = traces._exporter
        traces._exporter = None  # type: ignore[assignment]  # asking it now would raise
        traces.record(make_span())
        traces.flush()
        exports.shutdown()


def test_the_buffer_has_a_limit_and_takes_only_sampled_spans() -> None:
    traces = BufferedTraces(None, process="x")  # type: ignore[arg-type]  # nothing is sent here
    for _ in range(1200):
        traces.record(make_span())
    assert len(traces._buffer) == 1000
    unsampled = TraceContext(trace_id="1" * 32, span_id="2" * 16, sampled=False)
    traces.record(make_span(context=unsampled))
    assert len(traces._buffer) == 1000
    assert traces._buffer[-1].context != unsampled


def test_without_a_url_there_are_no_traces() -> None:
    for url in (None, ""):
        traces = open_traces(url, process="api")
        assert isinstance(traces, NoTraces)
        assert not traces.is_on
        traces.record(make_span())
        traces.flush()

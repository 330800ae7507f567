from collections.abc import Iterator

import pytest

from shared.domain.api_key import Scope
from shared.domain.job import Job
from shared.observability.traces import Span
from tests.support.api_harness import ApiHarness
from tests.support.captured_logs import CapturedLogs, capture_logs

SONG = b"RIFF" + bytes(100)


@pytest.fixture
def log() -> Iterator[CapturedLogs]:
    with capture_logs() as logged:
        yield logged


def test_the_request_id_of_a_client_is_in_the_response_the_log_and_the_job(
    api: ApiHarness, log: CapturedLogs
) -> None:
    answer = api.client.post("/v1/jobs", content=SONG, headers={"X-Request-ID": "my-id.1"})
    assert answer.headers["X-Request-ID"] == "my-id.1"
    job_id = answer.json()["id"]
    assert api.jobs.get(job_id).request_id == "my-id.1"
    ours = [line for line in log.lines() if line["event"] in {"job_accepted", "request_handled"}]
    assert [(line["request_id"], line["job_id"]) for line in ours] == [("my-id.1", job_id)] * 2


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\tb", 'a"b', "\u00e4", "a;b"])
def test_an_invalid_request_id_is_replaced(api: ApiHarness, given: str) -> None:
    answers = [
        api.client.get("/healthz", headers=[(b"x-request-id", given.encode("latin-1"))]) for _ in range(2)
    ]
    ids = [answer.headers["X-Request-ID"] for answer in answers]
    assert given not in ids
    assert len(set(ids)) == 2


def test_each_request_is_logged_in_one_line(api: ApiHarness, log: CapturedLogs) -> None:
    token = api.token(Scope.JOBS_READ)
    api.client.get("/v1/jobs/unknown?wait=0&x=secret-query", headers={"Authorization": f"Bearer {token}"})
    api.client.get("/no/such/path")
    found, lost = log.events("request_handled")
    assert (found["route"], found["status"], found["method"]) == ("/v1/jobs/{job_id}", 404, "GET")
    assert found["key_id"] == token.split("_")[1]
    assert found["job_id"] == "unknown"
    assert (lost["route"], lost["status"]) == ("unknown", 404)
    assert "secret-query" not in log.text
    assert token.split("_")[2] not in log.text
    assert "no/such" not in log.text


def test_health_checks_are_not_logged(api: ApiHarness, log: CapturedLogs) -> None:
    api.client.get("/healthz")
    assert log.events("request_handled") == []


def test_a_bug_gets_a_500_and_is_logged_with_the_request_id(api: ApiHarness, log: CapturedLogs) -> None:
    def broken(job_id: str) -> Job:
        raise ZeroDivisionError("inside")

    api.jobs.get = broken  # type: ignore[method-assign]
    answer = api.client.get("/v1/jobs/x", headers={"X-Request-ID": "r1"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert answer.headers["X-Request-ID"] == "r1"
    (error,) = log.events("unexpected_error")
    assert error["request_id"] == "r1"
    assert "ZeroDivisionError" in error["exception"]
    assert log.events("request_handled")[0]["status"] == 500


def test_no_line_contains_a_file_name(api: ApiHarness, log: CapturedLogs) -> None:
    api.client.post("/v1/jobs?filename=our-wedding.mp3", content=SONG)
    api.client.post("/v1/jobs", files={"file": ("our-wedding.mp3", SONG, "audio/mpeg")})
    assert len(log.events("job_accepted")) == 2
    assert "wedding" not in log.text


class Spans:
    is_on = True

    def __init__(self) -> None:
        self.held: list[Span] = []

    def record(self, span: Span) -> None:
        self.held.append(span)

    def write(self) -> None:
        pass


def test_a_request_is_the_first_span_of_its_jobs_trace(log: CapturedLogs) -> None:
    spans = Spans()
    api = ApiHarness(traces=spans)
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    answer = api.client.post("/v1/jobs?filename=wedding.mp3", content=SONG, headers={"traceparent": parent})
    (span,) = spans.held
    assert (span.name, span.kind, str(span.parent), span.failed) == ("POST /v1/jobs", "server", parent, False)
    assert api.jobs.get(answer.json()["id"]).traceparent == str(span.context)
    assert log.events("request_handled")[0]["trace_id"] == span.context.trace_id
    assert "traceparent" not in log.text
    assert "wedding" not in str(span)


def test_a_request_without_a_parent_starts_a_trace_and_a_health_check_does_not() -> None:
    spans = Spans()
    api = ApiHarness(traces=spans)
    for path in ("/v1/jobs/x", "/nothing", "/healthz"):
        api.client.get(path, headers={"traceparent": "nonsense"})
    assert [(span.name, span.parent) for span in spans.held] == [
        ("GET /v1/jobs/{job_id}", None),
        ("GET unknown", None),
    ]
    assert len({span.context.trace_id for span in spans.held}) == 2


def test_without_tracing_a_job_has_no_trace_context(api: ApiHarness) -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    answer = api.client.post("/v1/jobs", content=SONG, headers={"traceparent": parent})
    assert api.jobs.get(answer.json()["id"]).traceparent is None

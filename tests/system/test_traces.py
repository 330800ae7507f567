"""One trace through all processes, as a real collector gets it."""

import time
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.audio_files import audio_file
from tests.support.secrets import lines_with_secrets
from tests.support.system import running_system
from tests.support.webhook_receivers import WebhookReceiver, running_receiver

OPEN = {"KAMMERTON_OUTBOUND_ALLOWED_NETWORKS": "127.0.0.0/8", "KAMMERTON_WEBHOOK_ALLOW_HTTP": "true"}
TRACE, CLIENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
MOST_SECONDS = 120


class Told:
    """A span as it arrived, and which process sent it."""

    def __init__(self, process: str, span: object) -> None:
        self.process = process
        self.span = span
        self.name: str = span.name  # type: ignore[attr-defined]
        self.trace: str = span.trace_id.hex()  # type: ignore[attr-defined]
        self.id: str = span.span_id.hex()  # type: ignore[attr-defined]
        self.parent: str = span.parent_span_id.hex()  # type: ignore[attr-defined]


def told(collector: WebhookReceiver) -> list[Told]:
    spans = []
    for got in list(collector.requests):
        for resource in ExportTraceServiceRequest.FromString(got.body).resource_spans:
            names = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            spans += [Told(names["service.name"], span) for span in resource.scope_spans[0].spans]
    return spans


def of_trace(collector: WebhookReceiver, trace: str, *names: str) -> dict[str, Told]:
    """The spans of a trace by name, once all of these have come."""
    deadline = time.monotonic() + MOST_SECONDS
    while True:
        found = {span.name: span for span in told(collector) if span.trace == trace}
        if set(names) <= set(found):
            return found
        assert time.monotonic() < deadline, f"only {sorted(found)} came"
        time.sleep(0.1)


def test_one_upload_is_one_trace_from_its_request_to_its_webhook(tmp_path: Path) -> None:
    steps = ("POST /v1/jobs", "waiting", "attempt", "decode", "analysis", "webhook")
    with (
        running_receiver() as collector,
        running_receiver() as hook,
        running_system(
            tmp_path / "data",
            KAMMERTON_TRACES_URL=f"http://127.0.0.1:{collector.port}/v1/traces",
            **OPEN,
        ) as system,
    ):
        answers = [
            system.client.post(
                "/v1/jobs",
                files={"file": ("our wedding.flac", audio_file("flac", seconds=3.0), "audio/flac")},
                data={"callback_url": f"{hook.url}?token=our-hooks-own-token"},
                headers={"Idempotency-Key": f"our-own-key-{number}"} | headers,
            ).json()
            for number, headers in enumerate(({"traceparent": f"00-{TRACE}-{CLIENT}-01"}, {}))
        ]
        ended = [system.finished(answer["links"]["self"]) for answer in answers]
        assert [job["state"] for job in ended] == ["succeeded"] * 2
        spans = of_trace(collector, TRACE, *steps)
        unasked = next(
            span.trace for span in told(collector) if span.name == "attempt" and span.trace != TRACE
        )
        others = of_trace(collector, unasked, *steps)
        everything = b"".join(got.body for got in collector.requests)
    assert set(spans) == set(others) == set(steps)
    for trace, first_parent in ((spans, CLIENT), (others, "")):
        request, attempt = trace["POST /v1/jobs"], trace["attempt"]
        assert request.parent == first_parent
        assert {trace[name].parent for name in ("waiting", "attempt", "webhook")} == {request.id}
        assert {trace[name].parent for name in ("decode", "analysis")} == {attempt.id}
        assert [trace[name].process.removeprefix("kammerton-") for name in steps] == [
            "api",
            *["worker"] * 4,
            "notifier",
        ]
    secrets = ["wedding", "our-hooks-own-token", "our-own-key", hook.url]
    secrets += [answer["callback_secret"].removeprefix("whsec_") for answer in answers]
    for secret in secrets:
        assert secret.encode() not in everything
    assert lines_with_secrets(system.log, secrets) == []

"""Text is compressed for clients that accept it; streams of events never are."""

from typing import Any

import pytest

from api.http.templating import STATIC
from shared.domain.job_state import JobState
from tests.support.api_harness import ApiHarness
from tests.support.factories import make_job, make_report

SUCCEEDED: dict[str, Any] = {"state": JobState.SUCCEEDED, "queued_at": None, "finished_at": 3.0}

GZIP = {"Accept-Encoding": "gzip"}
PLAIN = {"Accept-Encoding": "identity"}
SCRIPT = "/static/vendor/tus-js-client-4.3.1.min.js"


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/v1/jobs/job-1", "/static/kammerton.css"])
def test_text_is_compressed_for_clients_that_accept_it(api: ApiHarness, path: str) -> None:
    api.jobs.add(make_job(**SUCCEEDED, report=make_report()))
    compressed, plain = api.client.get(path, headers=GZIP), api.client.get(path, headers=PLAIN)
    assert compressed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    for response in (compressed, plain):
        assert "accept-encoding" in response.headers["vary"].lower()
    assert int(compressed.headers["content-length"]) < 0.6 * int(plain.headers["content-length"])
    assert compressed.content == plain.content


@pytest.mark.parametrize("path", [SCRIPT, "/v1/jobs/job-1"])
def test_a_compressed_response_has_a_weak_etag_that_revalidates(api: ApiHarness, path: str) -> None:
    api.jobs.add(make_job(**SUCCEEDED, report=make_report()))
    etag = api.client.get(path, headers=GZIP).headers["etag"]
    assert etag == "W/" + api.client.get(path, headers=PLAIN).headers["etag"]
    again = api.client.get(path, headers=GZIP | {"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")


def test_a_stream_of_events_is_not_compressed(api: ApiHarness) -> None:
    api.jobs.add(make_job())
    for path in ("/v1/jobs/job-1/events", "/v1/events?job=job-1"):
        assert "content-encoding" not in api.client.head(path, headers=GZIP).headers


def test_fonts_are_sent_as_they_are(api: ApiHarness) -> None:
    font = "instrument-serif-latin-400-normal.woff2"
    response = api.client.get(f"/static/fonts/{font}", headers=GZIP)
    assert "content-encoding" not in response.headers
    assert response.content == (STATIC / "fonts" / font).read_bytes()


def test_a_missing_script_is_not_found_and_head_has_no_body(api: ApiHarness) -> None:
    assert api.client.get("/static/none.js", headers=GZIP).status_code == 404
    head = api.client.head(SCRIPT, headers=GZIP)
    assert (head.status_code, head.headers["content-encoding"]) == (200, "gzip")

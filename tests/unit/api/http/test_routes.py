import pytest

from tests.support.api_harness import ApiHarness
from tests.support.factories import make_job

PATHS = ["/", "/healthz", "/readyz", "/docs", "/openapi.json", "/v1/jobs/job-1", "/v1/jobs", "/nowhere"]


@pytest.mark.parametrize("path", PATHS)
def test_head_has_the_status_and_headers_of_get_without_a_body(api: ApiHarness, path: str) -> None:
    api.jobs.add(make_job())
    got, head = api.client.get(path), api.client.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    names = ("content-type", "content-length", "etag", "content-security-policy", "allow")
    assert {name: head.headers.get(name) for name in names} == {name: got.headers.get(name) for name in names}


def test_head_of_a_stream_ends(api: ApiHarness) -> None:
    api.jobs.add(make_job())
    head = api.client.head("/v1/jobs/job-1/events")
    assert (head.status_code, head.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")


def test_head_needs_the_same_key_as_get(private_api: ApiHarness) -> None:
    assert private_api.client.head("/v1/jobs").status_code == 401


def test_head_of_a_path_without_get_is_405(api: ApiHarness) -> None:
    answer = api.client.head("/v1/jobs/job-1/cancel")
    assert (answer.status_code, answer.headers["allow"]) == (405, "OPTIONS, POST")


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/healthz", "GET, HEAD, OPTIONS"),
        ("/v1/jobs", "GET, HEAD, OPTIONS, POST"),
        ("/v1/jobs/job-1", "DELETE, GET, HEAD, OPTIONS"),
        ("/v1/webhooks/ep_1", "DELETE, GET, HEAD, OPTIONS, PATCH"),
        ("/admin", "GET, HEAD, OPTIONS"),
    ],
)
def test_options_lists_the_methods(private_api: ApiHarness, path: str, allow: str) -> None:
    answer = private_api.client.options(path)
    assert (answer.status_code, answer.headers["allow"], answer.content) == (204, allow, b"")


def test_options_of_an_unknown_path_is_404(api: ApiHarness) -> None:
    assert api.client.options("/v1/nowhere").status_code == 404

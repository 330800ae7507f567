import re

from shared.domain.api_key import Scope
from tests.support.api_harness import ApiHarness
from tests.unit.api.test_route_access import routes


def test_a_body_that_is_too_large_is_a_problem_on_every_route(api: ApiHarness) -> None:
    headers = {"Authorization": f"Bearer {api.token(*Scope)}", "Content-Type": "application/json"}
    found = {}
    for method, path in routes(api.client.app.routes):  # type: ignore[attr-defined]
        if method in {"GET", "OPTIONS"} or path.startswith("/v1/tus"):  # tus declares its length itself
            continue
        url = re.sub(r"\{.*?\}", "x", path)
        answer = api.client.request(method, url, content=b" " * (13 * 1024 * 1024), headers=headers)
        content_type = answer.headers["content-type"]
        found[method, path] = (answer.status_code, content_type, answer.json()["code"])
    assert len(found) > 30
    assert set(found.values()) == {(413, "application/problem+json", "too_large")}, found

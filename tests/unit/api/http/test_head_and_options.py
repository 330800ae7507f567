"""HEAD and OPTIONS, on every route that has GET."""

import re

from shared.domain.api_key import Scope
from tests.support.api_harness import ApiHarness
from tests.support.factories import make_job
from tests.unit.api.test_route_access import routes

COMPARED = ("content-type", "allow", "location", "cache-control")


def test_head_and_options_work_wherever_get_does(api: ApiHarness) -> None:
    api.jobs.add(make_job())
    headers = {"Authorization": f"Bearer {api.token(*Scope)}"}
    paths = {path for method, path in routes(api.client.app.routes) if method == "GET"}  # type: ignore[attr-defined]
    assert len(paths) > 40
    for path in sorted(paths):
        url = re.sub(r"\{.*?\}", "job-1", path)
        head = api.client.head(url, headers=headers, follow_redirects=False)
        options = api.client.options(url, headers=headers)
        if options.status_code != 404:
            assert (options.status_code, options.content) == (204, b""), url
            assert {"GET", "HEAD", "OPTIONS"} <= set(options.headers["allow"].split(", ")), url
        if path.endswith("events"):  # GET would go on
            continue
        got = api.client.get(url, headers=headers, follow_redirects=False)
        assert (head.status_code, head.content) == (got.status_code, b""), url
        assert ("content-length" in head.headers) == ("content-length" in got.headers), (
            url
        )  # of what, may vary
        assert [head.headers.get(name) for name in COMPARED] == [
            got.headers.get(name) for name in COMPARED
        ], url

"""The API reference and the guides."""

import re

import pytest

from api.web.guides import GUIDES
from tests.support.api_harness import ApiHarness
from tests.support.html import unsafe_markup


def test_the_reference_runs_only_scripts_of_this_server(api: ApiHarness) -> None:
    response = api.client.get("/docs")
    policy = response.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "connect-src 'self';" in policy
    assert unsafe_markup(response.text) == []
    for script in re.findall(r'src="([^"]+)"', response.text):
        assert api.client.get(script).status_code == 200


@pytest.mark.parametrize("name", GUIDES)
def test_every_guide_is_rendered_and_links_only_to_pages_that_exist(api: ApiHarness, name: str) -> None:
    response = api.client.get(f"/docs/{name}")
    assert response.status_code == 200
    assert "<h1" in response.text
    assert unsafe_markup(re.sub(r'href="https?://', 'href="/', response.text)) == []
    for link in re.findall(r'href="(/docs/[^"]+)"', response.text):
        path, _, anchor = link.partition("#")
        target = api.client.get(path)
        assert target.status_code == 200
        assert not anchor or f'id="{anchor}"' in target.text


@pytest.mark.parametrize("name", ["nothing", "README", "..%2fpyproject", "decisions"])
def test_other_files_are_not_published(api: ApiHarness, name: str) -> None:
    assert api.client.get(f"/docs/{name}").status_code == 404

"""Login, sessions, and who may open the dashboard."""

import pytest

from api.admin.auth.sessions import COOKIE, MAX_ATTEMPTS
from shared.ports.admin import AuditQuery
from tests.support.api_harness import OPERATOR_PASSWORD, VIEWER_PASSWORD, ApiHarness
from tests.support.dashboard import PAGES, log_in


@pytest.mark.parametrize("path", PAGES)
def test_a_page_redirects_to_the_login_and_back(api: ApiHarness, path: str) -> None:
    answer = api.client.get(path, follow_redirects=False)
    assert answer.status_code == 303
    login = api.client.get(answer.headers["location"])
    assert f'name="next" value="{path}"' in login.text
    back = api.client.post(
        "/admin/login", data={"password": VIEWER_PASSWORD, "next": path}, follow_redirects=False
    )
    assert back.headers["location"] == path
    assert api.client.get(path).status_code == 200


@pytest.mark.parametrize("next", ["https://evil.example", "//evil.example", "/admin/../evil", "/x", "\\\\e"])
def test_the_login_redirects_only_within_the_dashboard(api: ApiHarness, next: str) -> None:
    answer = api.client.post(
        "/admin/login", data={"password": VIEWER_PASSWORD, "next": next}, follow_redirects=False
    )
    assert answer.headers["location"].startswith("/admin")
    assert "evil.example" not in answer.headers["location"]


def test_the_cookie_is_http_only_and_same_site(api: ApiHarness) -> None:
    answer = api.client.post("/admin/login", data={"password": OPERATOR_PASSWORD}, follow_redirects=False)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_wrong_passwords_are_rejected_and_attempts_are_limited(api: ApiHarness) -> None:
    for _ in range(MAX_ATTEMPTS):
        assert api.client.post("/admin/login", data={"password": "guess"}).status_code == 403
    answer = api.client.post("/admin/login", data={"password": OPERATOR_PASSWORD})
    assert answer.status_code == 429
    assert "Too many attempts" in answer.text


def test_a_forged_cookie_is_rejected(api: ApiHarness) -> None:
    client = log_in(api, VIEWER_PASSWORD)
    real = client.cookies[COOKIE]
    payload, timestamp, signature = real.split(".")
    for forged in (
        f"{payload}.{timestamp}.{signature[::-1]}",
        f"{payload[:-4]}AAAA.{timestamp}.{signature}",
        f"{payload}.AAAAAA.{signature}",
        "x.y",
        "",
    ):
        client.cookies.clear()
        client.cookies.set(COOKIE, forged)
        assert client.get("/admin", follow_redirects=False).status_code == 303


def test_unknown_pages_answer_404_only_after_the_login(api: ApiHarness) -> None:
    assert api.client.get("/admin/nonsense", follow_redirects=False).status_code == 303
    assert log_in(api).get("/admin/nonsense").status_code == 404


def test_logins_and_failed_logins_are_in_the_audit_log(api: ApiHarness) -> None:
    api.client.post("/admin/login", data={"password": "guess", "name": "Eve"})
    log_in(api, VIEWER_PASSWORD, name="Ann")
    entries = [(entry.who, entry.act) for entry in api.audit.page(AuditQuery()).entries]
    assert entries == [("“Ann”", "login"), ("“Eve”", "failed login")]

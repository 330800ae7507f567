"""Login, sessions, and who may open the dashboard."""

import asyncio
import threading

import pytest
from fastapi.testclient import TestClient

from api.admin.auth.sessions import COOKIE, DEVICE_COOKIE
from api.admin.auth.throttle import FREE_FAILURES, MAX_CHECKS, MAX_PAUSE_SECONDS
from api.config import RateLimits
from shared.domain.api_key import Scope
from shared.observability.metrics import LOGINS
from shared.ports.admin import AuditQuery
from tests.support.api_harness import OPERATOR_PASSWORD, VIEWER_PASSWORD, ApiHarness
from tests.support.captured_logs import capture_logs
from tests.support.dashboard import HTML, PAGES, log_in


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


def client_at(api: ApiHarness, address: str) -> TestClient:
    return TestClient(api.client.app, client=(address, 1), headers={"Sec-Fetch-Site": "same-origin"})


def try_password(client: TestClient, password: str) -> int:
    answer = client.post("/admin/login", data={"password": password}, follow_redirects=False)
    return int(answer.status_code)


def test_wrong_passwords_are_answered_after_pauses_that_grow(api: ApiHarness) -> None:
    assert {try_password(api.client, "guess") for _ in range(FREE_FAILURES + 8)} == {403}
    assert api.login_pauses == [*[0.0] * FREE_FAILURES, 1, 2, 4, 8, *[MAX_PAUSE_SECONDS] * 4]


def test_a_hundred_wrong_passwords_lock_nobody_out(api: ApiHarness) -> None:
    assert {try_password(api.client, "guess") for _ in range(101)} == {403}
    pauses = len(api.login_pauses)
    elsewhere = client_at(api, "192.0.2.7")
    for client in (elsewhere, api.client):
        assert try_password(client, OPERATOR_PASSWORD) == 303
    assert len(api.login_pauses) == pauses, "the right password waits for nothing"
    assert try_password(client_at(api, "192.0.2.8"), "guess") == 403
    assert api.login_pauses[-1] == MAX_PAUSE_SECONDS, "guesses from many addresses are slow, too"


def test_many_guesses_at_the_same_time_are_refused_but_a_known_device_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, waiting = threading.Event(), threading.Semaphore(0)

    async def hold(self: ApiHarness, seconds: float) -> None:
        waiting.release()
        await asyncio.to_thread(gate.wait)

    monkeypatch.setattr(ApiHarness, "_pause", hold)
    api = ApiHarness()
    api.client.headers["Sec-Fetch-Site"] = "same-origin"
    with api.client:
        known = log_in(api).cookies[DEVICE_COOKIE]
        api.client.cookies.clear()
        statuses: list[int] = []
        guesses = [
            threading.Thread(target=lambda: statuses.append(try_password(api.client, "guess")))
            for _ in range(MAX_CHECKS)
        ]
        for guess in guesses:
            guess.start()
        for _ in guesses:
            assert waiting.acquire(timeout=60)
        refused = api.client.post("/admin/login", data={"password": OPERATOR_PASSWORD})
        api.client.cookies.set(DEVICE_COOKIE, known)
        through = try_password(api.client, OPERATOR_PASSWORD)
        gate.set()
        for guess in guesses:
            guess.join()
    assert (refused.status_code, int(refused.headers["retry-after"])) == (429, MAX_PAUSE_SECONDS)
    assert "Too many attempts" in refused.text
    assert through == 303
    assert statuses == [403] * MAX_CHECKS


def test_a_stolen_device_cookie_is_slowed_down_as_well_and_a_forged_one_is_worth_nothing(
    api: ApiHarness,
) -> None:
    device = log_in(api).cookies[DEVICE_COOKIE]
    for cookie in (device, device[:-3] + "AAA"):
        api.login_pauses.clear()
        client = client_at(api, "192.0.2.9")
        client.cookies.set(DEVICE_COOKIE, cookie)
        for _ in range(FREE_FAILURES + 1):
            try_password(client, "guess")
        assert api.login_pauses[-1] == 1


def test_logins_are_logged_and_counted(api: ApiHarness) -> None:
    with capture_logs() as logged:
        for _ in range(30):
            try_password(api.client, "guess")
        log_in(api)
    failures = logged.events("login_failed")
    assert [entry["failures"] for entry in failures] == list(range(1, 31))
    assert "testclient" not in str(failures), "an address is personal data"
    assert len(logged.events("login_succeeded")) == 1
    headers = {"Authorization": f"Bearer {api.token(Scope.ADMIN_READ)}"}
    metrics = api.client.get("/metrics", headers=headers).text
    assert f'{LOGINS.name}_total{{outcome="failed"}} 30.0' in metrics
    assert f'{LOGINS.name}_total{{outcome="succeeded"}} 1.0' in metrics
    audited = [entry.act for entry in api.audit.page(AuditQuery(limit=99)).entries]
    assert audited == ["login"] + ["failed login"] * 10, "guesses don't push the rest out of the audit log"


def test_operators_behind_one_proxy_have_limits_of_their_own() -> None:
    api = ApiHarness(rate_limits=RateLimits(requests_per_minute=5))
    api.client.headers["Sec-Fetch-Site"] = "same-origin"
    for _ in range(6):
        noisy = api.client.get("/")
    assert noisy.status_code == 429
    operator = log_in(api)
    assert operator.get("/admin").status_code == 200
    assert [operator.get("/admin").status_code for _ in range(5)][-1] == 429, "a session has a limit, too"


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


def test_operators_with_accounts_log_in_with_their_name() -> None:
    api = ApiHarness(operators={"ann": "one", "bob": "two"})
    api.client.headers.update(HTML)
    assert "for the audit log" not in api.client.get("/admin/login").text
    wrong = api.client.post("/admin/login", data={"name": "ann", "password": "two"})
    assert (wrong.status_code, "The name or the password is wrong." in wrong.text) == (403, True)
    shared = api.client.post("/admin/login", data={"name": "ann", "password": OPERATOR_PASSWORD})
    assert shared.status_code == 403
    assert "Logged in as operator ann" in log_in(api, "one", name="ann").get("/admin").text

import asyncio
import time
from collections.abc import Callable, Iterator

import pytest
from starlette.types import Message
from starlette.types import Scope as Scope_

from shared.domain.api_key import ApiKey, Scope
from shared.domain.job_fields import Problem
from shared.domain.job_state import JobState
from shared.errors import Unavailable
from tests.support.api_harness import ApiHarness
from tests.support.factories import make_job

SONG = b"RIFF" + bytes(100)


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def submit(api: ApiHarness, **headers: str) -> str:
    answer = api.client.post("/v1/jobs", content=SONG, headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def test_without_a_key_nothing_is_accepted_or_shown(private_api: ApiHarness) -> None:
    for answer in (
        private_api.client.post("/v1/jobs", content=SONG),
        private_api.client.get("/v1/jobs/x"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"
    assert private_api.audio.objects == {}


def test_a_refused_upload_is_not_read(private_api: ApiHarness) -> None:
    read = False

    def body() -> Iterator[bytes]:
        nonlocal read
        read = True
        yield SONG

    answer = asyncio.run(_status_without_reading(private_api, body))
    assert (answer, read) == (401, False)


async def _status_without_reading(api: ApiHarness, body: Callable[[], Iterator[bytes]]) -> int:
    """Speak ASGI: the test client would read the body by itself."""
    statuses: list[int] = []
    chunks = body()

    async def receive() -> Message:
        return {"type": "http.request", "body": next(chunks), "more_body": True}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    headers = [
        (b"host", b"testserver"),
        (b"authorization", b"Bearer kam_x"),
        (b"content-type", b"audio/wav"),
    ]
    scope: Scope_ = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/jobs",
        "raw_path": b"/v1/jobs",
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await api.client.app(scope, receive, send)
    return statuses[0]


def test_a_job_belongs_to_the_key_that_created_it(private_api: ApiHarness) -> None:
    mine = private_api.token(Scope.JOBS_READ, Scope.JOBS_WRITE)
    theirs = private_api.token(Scope.JOBS_READ, Scope.JOBS_WRITE)
    job_id = submit(private_api, **bearing(mine))
    assert private_api.jobs.get(job_id).owner == mine.split("_")[1]
    path = f"/v1/jobs/{job_id}"
    assert private_api.client.get(path, headers=bearing(mine)).status_code == 200
    foreign = private_api.client.get(path, headers=bearing(theirs))
    unknown = private_api.client.get("/v1/jobs/unknown", headers=bearing(theirs))
    assert (foreign.status_code, foreign.json()) == (404, unknown.json())


def test_the_id_gives_access_to_anonymous_jobs_only(api: ApiHarness) -> None:
    mine = api.token(Scope.JOBS_READ, Scope.JOBS_WRITE)
    kept, open_to_all = submit(api, **bearing(mine)), submit(api)
    assert api.client.get(f"/v1/jobs/{open_to_all}").status_code == 200
    assert api.client.get(f"/v1/jobs/{kept}").status_code == 404
    assert api.client.get(f"/v1/jobs/{open_to_all}", headers=bearing(mine)).status_code == 404


def test_an_operator_sees_all_jobs(private_api: ApiHarness) -> None:
    mine = private_api.token(Scope.JOBS_READ, Scope.JOBS_WRITE)
    viewer = private_api.token(Scope.ADMIN_READ)
    job_id = submit(private_api, **bearing(mine))
    assert private_api.client.get(f"/v1/jobs/{job_id}", headers=bearing(viewer)).status_code == 200
    answer = private_api.client.post("/v1/jobs", content=SONG, headers=bearing(viewer))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    ("scope", "reads", "writes"), [(Scope.JOBS_READ, 404, 403), (Scope.JOBS_WRITE, 403, 202)]
)
def test_a_scope_allows_exactly_its_actions(
    private_api: ApiHarness, scope: Scope, reads: int, writes: int
) -> None:
    headers = bearing(private_api.token(scope))
    assert private_api.client.get("/v1/jobs/x", headers=headers).status_code == reads
    assert private_api.client.post("/v1/jobs", content=SONG, headers=headers).status_code == writes


@pytest.mark.parametrize(
    "given",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer kam_x",
        "Basic YTpi",
        "kam_" + "0" * 12 + "_" + "0" * 64,
        "Bearer kam_" + "0" * 12 + "_" + "0" * 64,
        "Bearer " + "x" * 5000,
        "Bearer k\u00e4m",
    ],
)
def test_a_wrong_header_is_refused_even_if_anonymous_callers_are_allowed(api: ApiHarness, given: str) -> None:
    headers = [(b"authorization", given.encode("latin-1"))]
    answer = api.client.get("/v1/jobs/x", headers=headers)
    assert answer.status_code == 401


def test_revoked_and_expired_keys_are_refused_at_once(private_api: ApiHarness) -> None:
    revoked = private_api.token(Scope.JOBS_READ)
    expired = private_api.token(Scope.JOBS_READ, now=time.time() - 10, expires_at=time.time() - 1)
    assert private_api.client.get("/v1/jobs/x", headers=bearing(revoked)).status_code == 404
    private_api.keys.revoke(revoked.split("_")[1], now=time.time())
    for token, why in ((revoked, "revoked"), (expired, "expired")):
        answer = private_api.client.get("/v1/jobs/x", headers=bearing(token))
        assert answer.status_code == 401
        assert why in answer.json()["detail"]


def test_no_key_is_accepted_while_the_key_store_is_unavailable(api: ApiHarness) -> None:
    def unavailable(key_id: str) -> ApiKey | None:
        raise Unavailable("unavailable")

    token = api.token(Scope.JOBS_READ)
    api.keys.find = unavailable  # type: ignore[method-assign]
    answer = api.client.get("/v1/jobs/x", headers=bearing(token))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


def test_health_checks_need_no_key(private_api: ApiHarness) -> None:
    assert private_api.client.get("/healthz", headers=bearing("wrong")).status_code == 200


@pytest.mark.parametrize("anonymous", [True, False])
def test_the_document_says_whether_a_key_is_needed(anonymous: bool) -> None:
    document = ApiHarness(allow_anonymous=anonymous).client.get("/openapi.json").json()
    submit = document["paths"]["/v1/jobs"]["post"]
    assert ({} in submit["security"]) is anonymous
    assert {"401", "403"} <= set(submit["responses"])
    assert "security" not in document["paths"]["/healthz"]["get"]


@pytest.mark.parametrize(("method", "path"), [("POST", "/cancel"), ("POST", "/retry"), ("DELETE", "")])
def test_only_the_owner_and_an_operator_change_a_job(api: ApiHarness, method: str, path: str) -> None:
    owner, other, viewer, operator = (
        api.token(*scopes)
        for scopes in (
            (Scope.JOBS_READ, Scope.JOBS_WRITE),
            (Scope.JOBS_READ, Scope.JOBS_WRITE),
            (Scope.ADMIN_READ,),
            (Scope.ADMIN_READ, Scope.ADMIN_WRITE),
        )
    )
    problem = Problem(code="x", message="x", retryable=True)
    state = JobState.DEAD if path == "/retry" else JobState.QUEUED
    api.jobs.add(make_job(owner=owner.split("_")[1], state=state, problem=problem))
    before = api.jobs.get("job-1")
    for token, expected in ((other, 404), (viewer, 403)):
        answer = api.client.request(method, f"/v1/jobs/job-1{path}", headers=bearing(token))
        assert answer.status_code == expected
    assert api.client.request(method, f"/v1/jobs/job-1{path}").status_code == 404
    assert api.jobs.get("job-1") == before
    answer = api.client.request(method, f"/v1/jobs/job-1{path}", headers=bearing(operator))
    assert answer.status_code < 300


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/jobs", "GET, HEAD, OPTIONS, POST"),
        ("PATCH", "/v1/jobs/x", "DELETE, GET, HEAD, OPTIONS"),
        ("PUT", "/v1/webhooks/secret", "GET, HEAD, OPTIONS"),
        ("GET", "/admin/api/acts", "OPTIONS, POST"),
    ],
)
def test_a_wrong_method_gets_the_allowed_ones(api: ApiHarness, method: str, path: str, allowed: str) -> None:
    answer = api.client.request(method, path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
    assert api.client.get("/admin/api/nothing").status_code == 404

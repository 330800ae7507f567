"""The dashboard, as it comes from the server: who may see it, what it shows, what it does."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.admin.auth.sessions import COOKIE, TRIES, Sessions
from shared.domain.api_key import Scope
from shared.domain.delivery import Delivery, DeliveryState
from shared.domain.job import AudioInput, Problem
from shared.domain.job_state import Event, JobState
from shared.domain.webhook import EventType
from shared.outbound.address_rules import Answer
from shared.ports.uploads import UploadInfo
from shared.ports.workers import WorkerCommand, WorkerInfo
from tests.support.factories import a_job, a_report
from tests.support.fakes.admin import MemorySecretStore
from tests.support.fakes.jobs import MemoryJobStore
from tests.support.fakes.webhooks import MemoryHttpSender, a_delivery, an_endpoint
from tests.support.html import dangers
from tests.unit.api.conftest import OPERATOR, VIEWER, World
from worker.webhooks.deliver import DeliveryConfig, DeliveryWorker

HTML = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
PAGES = ["/admin", "/admin/history", "/admin/jobs", "/admin/dead", "/admin/keys", "/admin/audit"]
CRASH = Problem(code="too_many_crashes", message="It crashed 3 times.", retryable=True)
NO_AUDIO = Problem(code="no_audio", message="There is no audio.", retryable=False)


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    with made.client:
        made.client.headers.update(HTML)
        yield made


@pytest.fixture
def jobs(world: World) -> MemoryJobStore:
    return world.jobs


def log_in(world: World, password: str = OPERATOR, **more: str) -> TestClient:
    answer = world.client.post("/admin/login", data={"password": password, **more}, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return world.client


def dead(job_id: str, **changes: Any) -> Any:
    fields: dict[str, Any] = {
        "state": JobState.DEAD,
        "queued_at": None,
        "problem": CRASH,
        "attempts": 3,
        "timeline": (
            Event(at=1.0, state=JobState.QUEUED, attempt=0),
            Event(at=2.0, state=JobState.RUNNING, attempt=3, worker="host:7"),
            Event(at=3.0, state=JobState.DEAD, attempt=3, worker="host:7", why="signal 11 <in> ffmpeg"),
        ),
    }
    return a_job(job_id, **fields | changes)


def a_worker() -> WorkerInfo:
    now = time.time()
    return WorkerInfo(
        name="host:7",
        host="host",
        pid=7,
        started_at=now - 90,
        seen_at=now - 1,
        queues=("interactive",),
        jobs_done=12,
        memory_bytes=95,
        memory_limit_bytes=100,
        current_jobs=("job-1",),
    )


@pytest.mark.parametrize("path", PAGES)
def test_strangers_are_led_to_the_login_and_back(world: World, path: str) -> None:
    answer = world.client.get(path, follow_redirects=False)
    assert answer.status_code == 303
    login = world.client.get(answer.headers["location"])
    assert f'name="next" value="{path}"' in login.text
    back = world.client.post("/admin/login", data={"password": VIEWER, "next": path}, follow_redirects=False)
    assert back.headers["location"] == path
    assert world.client.get(path).status_code == 200


@pytest.mark.parametrize("next", ["https://evil.example", "//evil.example", "/admin/../evil", "/x", "\\\\e"])
def test_the_login_leads_nowhere_else(world: World, next: str) -> None:
    answer = world.client.post(
        "/admin/login", data={"password": VIEWER, "next": next}, follow_redirects=False
    )
    assert answer.headers["location"].startswith("/admin")
    assert "evil.example" not in answer.headers["location"]


def test_the_cookie_is_kept_from_scripts_and_other_sites(world: World) -> None:
    answer = world.client.post("/admin/login", data={"password": OPERATOR}, follow_redirects=False)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_a_wrong_password_is_refused_and_guessing_is_limited(world: World) -> None:
    for _ in range(TRIES):
        assert world.client.post("/admin/login", data={"password": "guess"}).status_code == 403
    answer = world.client.post("/admin/login", data={"password": OPERATOR})
    assert answer.status_code == 429
    assert "Too many attempts" in answer.text


def test_a_forged_or_changed_cookie_is_nobody(world: World) -> None:
    client = log_in(world, VIEWER)
    real = client.cookies[COOKIE]
    packed, signature = real.split(".")
    for forged in (real[:-1] + "0", f"{packed[:-4]}AAAA.{signature}", "x.y", "", "é" if False else "e"):
        client.cookies.clear()
        client.cookies.set(COOKIE, forged)
        assert client.get("/admin", follow_redirects=False).status_code == 303


def test_a_session_ends_with_its_time_and_with_its_password() -> None:
    vault = MemorySecretStore()
    old = Sessions(vault, operator_password="one", viewer_password=None)
    cookie = old.log_in("one", name="Ann\u202e", address="a", now=0.0)
    session = old.read(cookie, now=10.0)
    assert session is not None
    assert (session.role, session.name) == ("operator", "Ann")
    assert old.read(cookie, now=1e9) is None
    new = Sessions(vault, operator_password="two", viewer_password=None)
    assert new.read(cookie, now=10.0) is None


def test_without_a_password_one_is_made_once_and_told_once() -> None:
    vault = MemorySecretStore()
    told: list[str] = []
    for _ in range(2):
        sessions = Sessions(vault, operator_password=None, viewer_password=None, announce=told.append)
        sessions.prepare()
    assert len(told) == 1
    password = told[0].split(" is ")[1].split()[0]
    assert password not in str(vault.kept)
    assert sessions.log_in(password, name="", address="a", now=0.0) is not None
    assert sessions.log_in("", name="", address="a", now=0.0) is None
    assert sessions.log_in("None", name="", address="a", now=0.0) is None


ACTS = [
    ("/admin/acts", {"act": "retry", "ids": "job-1"}),
    ("/admin/acts", {"act": "delete", "matching": "all"}),
    ("/admin/confirm", {"act": "delete:all"}),
    ("/admin/queues/batch", {"act": "pause"}),
    ("/admin/workers/host:7", {"act": "restart"}),
    ("/admin/webhooks/msg_1", {}),
    ("/admin/keys", {"name": "mine", "scopes": "admin:write"}),
]


@pytest.mark.parametrize(("path", "data"), ACTS)
def test_a_viewer_is_refused_each_act(world: World, path: str, data: dict[str, str]) -> None:
    world.jobs.add(dead("job-1"))
    world.workers.beat(a_worker())
    answer = log_in(world, VIEWER).post(path, data=data)
    assert answer.status_code == 403
    assert "log in as operator" in answer.text
    assert world.jobs.get("job-1").state is JobState.DEAD
    assert (world.controls.paused(), world.controls.orders()) == (frozenset(), {})
    assert world.audit.latest(limit=1) == ()


@pytest.mark.parametrize(("path", "data"), [*ACTS, ("/admin/logout", {})])
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": None, "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": None, "Origin": "null"},
        {"Sec-Fetch-Site": None},
    ],
)
def test_no_other_site_can_act_with_an_operators_cookie(
    world: World, path: str, data: dict[str, str], headers: dict[str, str | None]
) -> None:
    world.jobs.add(dead("job-1"))
    client = log_in(world)
    for name, value in headers.items():
        if value is None:
            del client.headers[name]
        else:
            client.headers[name] = value
    assert client.post(path, data=data).status_code == 403
    assert world.jobs.get("job-1").state is JobState.DEAD
    assert world.audit.latest(limit=1) == ()


def test_an_old_browser_is_believed_by_its_origin(world: World) -> None:
    client = log_in(world)
    del client.headers["Sec-Fetch-Site"]
    client.headers["Origin"] = "http://testserver"
    assert client.post("/admin/queues/batch", data={"act": "pause"}).status_code == 200
    assert world.controls.paused() == {"batch"}


def test_now_says_what_is_wrong_the_worst_first(world: World) -> None:
    world.jobs.add(a_job("job-1", queued_at=time.time() - 100))
    world.jobs.add(dead("job-2"))
    world.controls.pause("batch")
    page = log_in(world, VIEWER).get("/admin").text
    assert "<h1>No worker is alive: nothing will be analysed.</h1>" in page
    assert "The queue batch is paused." in page
    assert "A job in interactive has been waiting for more than a minute." in page
    assert "One job is dead." in page


def test_now_shows_workers_and_their_memory(world: World) -> None:
    world.workers.beat(a_worker())
    page = log_in(world).get("/admin").text
    assert "The worker host:7 uses more than 90 % of its memory." in page
    assert 'href="/admin/jobs/job-1"' in page
    assert "Drain" in page


def test_a_viewer_sees_no_levers(world: World) -> None:
    world.workers.beat(a_worker())
    world.jobs.add(dead("job-1"))
    client = log_in(world, VIEWER)
    for path in [*PAGES, "/admin/jobs/job-1"]:
        assert not re.search(r'name="act"', client.get(path).text)


def test_a_queue_is_paused_and_resumed(world: World) -> None:
    client = log_in(world, name="Ann")
    said = client.post("/admin/queues/batch", data={"act": "pause"}).text
    assert "The queue batch is paused." in said
    client.post("/admin/queues/batch", data={"act": "resume"})
    assert world.controls.paused() == frozenset()
    acts = [(entry.who, entry.act, entry.what) for entry in world.audit.latest(limit=9)]
    assert acts == [
        ("operator Ann", "resume", "queue batch"),
        ("operator Ann", "pause", "queue batch"),
    ]
    assert "operator Ann" in client.get("/admin/audit").text
    assert client.post("/admin/queues/nonsense", data={"act": "pause"}).status_code == 404


def test_a_worker_is_drained_and_put_back_to_work(world: World) -> None:
    world.workers.beat(a_worker())
    client = log_in(world)
    client.post("/admin/workers/host:7", data={"act": "drain"})
    assert world.controls.orders() == {"host:7": WorkerCommand.DRAIN}
    assert "draining" in client.get("/admin").text
    client.post("/admin/workers/host:7", data={"act": "resume"})
    assert world.controls.orders() == {}
    assert client.post("/admin/workers/nobody", data={"act": "drain"}).status_code == 404


def test_a_dead_job_tells_its_story(world: World) -> None:
    world.jobs.add(dead("job-1"))
    client = log_in(world, VIEWER)
    assert "job-1" in client.get("/admin/dead").text
    page = client.get("/admin/jobs/job-1").text
    assert "It crashed 3 times." in page
    assert "signal 11 &lt;in&gt; ffmpeg" in page
    assert "host:7" in page
    assert "attempt 3" in page


def test_a_finished_job_shows_its_report_and_pictures(world: World) -> None:
    world.jobs.add(a_job(state=JobState.SUCCEEDED, queued_at=None, report=a_report()))
    page = log_in(world, VIEWER).get("/admin/jobs/job-1").text
    assert "432.04 Hz" in page
    assert page.count('role="img"') == 2


def test_one_dead_job_is_retried_from_its_page(world: World) -> None:
    world.jobs.add(dead("job-1"))
    answer = log_in(world).post(
        "/admin/acts", data={"act": "retry", "ids": "job-1", "back": "/admin/jobs/job-1"}
    )
    assert "One job was queued again." in answer.text
    assert world.jobs.get("job-1").state is JobState.QUEUED
    assert world.queue.messages == {"interactive": ["job-1"]}
    (entry,) = world.audit.latest(limit=9)
    assert (entry.act, entry.what, entry.count) == ("retry", "job-1", 1)


def test_all_that_match_are_retried_after_a_question(world: World) -> None:
    for number in range(4):
        world.jobs.add(dead(f"job-{number}"))
    world.jobs.add(
        a_job("other", state=JobState.FAILED, queued_at=None, problem=NO_AUDIO, input=AudioInput())
    )
    client = log_in(world)
    question = client.post("/admin/confirm?reason=too_many_crashes", data={"act": "retry:all"}).text
    assert "Yes, retry 4 jobs" in question
    assert world.jobs.get("job-0").state is JobState.DEAD
    action = re.search(r'action="(/admin/acts[^"]*)"', question)
    assert action is not None
    done = client.post(action[1], data={"act": "retry", "matching": "all", "back": "/admin/jobs"}).text
    assert "4 jobs were queued again." in done
    assert world.jobs.get("other").state is JobState.FAILED
    (entry,) = world.audit.latest(limit=9)
    assert (entry.what, entry.count) == ("all with reason too_many_crashes", 4)


def test_what_can_not_be_done_is_said(world: World) -> None:
    world.jobs.add(a_job("job-1"))
    answer = log_in(world).post("/admin/acts", data={"act": "retry", "ids": ["job-1", "gone"]})
    assert "0 jobs were queued again. 2 were left as they are" in answer.text


def test_an_act_without_a_choice_is_no_act_on_everything(world: World) -> None:
    world.jobs.add(dead("job-1"))
    client = log_in(world)
    assert "Choose jobs first." in client.post("/admin/confirm", data={"act": "delete"}).text
    assert client.post("/admin/acts", data={"act": "delete"}).status_code == 400
    mistyped = client.post("/admin/acts?state=daed", data={"act": "delete", "matching": "all"})
    assert mistyped.status_code == 400
    assert world.jobs.get("job-1")


def test_deleting_forgets_a_job_and_leads_back_to_the_list(world: World) -> None:
    world.jobs.add(dead("job-1"))
    answer = log_in(world).post(
        "/admin/acts", data={"act": "delete", "ids": "job-1", "back": "/admin/jobs/job-1"}
    )
    assert answer.url.path == "/admin/jobs"
    assert "One job was deleted." in answer.text


def test_jobs_are_searched_and_filtered(world: World) -> None:
    world.jobs.add(dead("job-1", input=AudioInput(filename="Midnight.mp3")))
    world.jobs.add(a_job("job-2", input=AudioInput(filename="Midday.mp3")))
    client = log_in(world, VIEWER)

    def shown(query: str) -> set[str]:
        return set(re.findall(r'href="/admin/jobs/(job-\d)"', client.get(f"/admin/jobs?{query}").text))

    assert shown("") == {"job-1", "job-2"}
    assert shown("q=mid") == {"job-1", "job-2"}
    assert shown("q=mid&state=dead") == {"job-1"}
    assert shown("state=queued") == {"job-2"}
    assert shown("reason=too_many_crashes") == {"job-1"}
    assert shown("worker=host:7") == {"job-1"}
    assert shown("since=hour") == set()


def test_a_webhook_is_sent_again(world: World) -> None:
    world.jobs.add(a_job())
    world.deliveries.add(
        Delivery(
            id="msg_1",
            type=next(iter(EventType)),
            url="https://example.org/x",
            server="example.org:443",
            body="{}",
            created_at=1.0,
            job_id="job-1",
            state=DeliveryState.FAILED,
            why="No attempt was answered.",
        )
    )
    client = log_in(world)
    page = client.get("/admin/jobs/job-1").text
    assert "example.org:443" in page
    assert "No attempt was answered." in page
    client.post("/admin/webhooks/msg_1", data={"back": "/admin/jobs/job-1"})
    assert world.deliveries.get("msg_1").state is DeliveryState.PENDING


def test_programs_do_the_same_with_a_key(world: World) -> None:
    world.jobs.add(dead("job-1"))
    client = world.client
    client.headers.update({"Accept": "application/json", "Sec-Fetch-Site": "none"})
    reader = {"Authorization": f"Bearer {world.token(Scope.ADMIN_READ)}"}
    writer = {"Authorization": f"Bearer {world.token(Scope.ADMIN_READ, Scope.ADMIN_WRITE)}"}
    assert client.get("/admin/api/now").status_code == 401
    user = {"Authorization": f"Bearer {world.token(Scope.JOBS_READ)}"}
    assert client.get("/admin/api/now", headers=user).status_code == 403
    assert client.get("/admin/api/now", headers=reader).json()["states"]["dead"] == 1
    assert len(client.get("/admin/api/history?span=day", headers=reader).json()["buckets"]) == 96
    found = client.get("/admin/api/jobs?state=dead", headers=reader).json()["jobs"]
    assert [job["id"] for job in found] == ["job-1"]
    body = {"act": "retry", "matching": True}
    assert client.post("/admin/api/acts", headers=reader, json=body).status_code == 403
    assert client.post("/admin/api/acts", headers=writer, json=body).json() == {
        "done": 1,
        "refused": [],
        "left": False,
    }
    assert client.post("/admin/api/queues/batch/pause", headers=writer).status_code == 204
    assert world.controls.paused() == {"batch"}
    (pause, retry) = client.get("/admin/api/audit", headers=reader).json()
    assert (pause["act"], retry["act"], retry["count"]) == ("pause", "retry", 1)
    assert pause["who"].startswith("key ")


@pytest.mark.parametrize("path", ["/admin/login", *PAGES, "/admin/jobs/job-1"])
def test_no_page_may_run_or_load_what_is_not_ours(world: World, path: str) -> None:
    world.jobs.add(dead("job-1", input=AudioInput(filename="<img src=x onerror=alert(1)>.mp3")))
    answer = log_in(world).get(path)
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert "<img" not in answer.text
    assert dangers(answer.text) == []


def test_unknown_pages_are_only_told_apart_after_the_login(world: World) -> None:
    assert world.client.get("/admin/nonsense", follow_redirects=False).status_code == 303
    assert log_in(world).get("/admin/nonsense").status_code == 404


def test_a_key_is_made_shown_once_and_revoked(world: World) -> None:
    client = log_in(world, name="Ann")
    page = client.post("/admin/keys", data={"name": "for the app", "scopes": ["jobs:read"], "days": "9"}).text
    token = re.search(r"kam_[0-9a-f]{12}_[0-9a-f]{64}", page)
    assert token is not None
    again = client.get("/admin/keys").text
    assert token[0] not in again
    assert "for the app" in again
    key_id = token[0].split("_")[1]
    with_key = {"Authorization": f"Bearer {token[0]}", "Accept": "application/json"}
    assert client.get("/v1/jobs", headers=with_key).status_code == 200
    assert "The key was revoked." in client.post(f"/admin/keys/{key_id}/revoke").text
    assert client.get("/v1/jobs", headers=with_key).status_code == 401
    acts = [(entry.who, entry.act) for entry in world.audit.latest(limit=9)]
    assert acts == [("operator Ann", "revoke key"), ("operator Ann", "make key")]
    assert token[0] not in str(world.audit.latest(limit=9))


def test_programs_make_and_end_keys_too(world: World) -> None:
    client = world.client
    client.headers.update({"Accept": "application/json"})
    writer = {"Authorization": f"Bearer {world.token(Scope.ADMIN_WRITE, Scope.ADMIN_READ)}"}
    made = client.post("/admin/api/keys", headers=writer, json={"name": "bot"})
    assert made.status_code == 201
    ended = client.post(f"/admin/api/keys/{made.json()['id']}/revoke", headers=writer)
    assert ended.json()["usable"] is False
    assert {key["name"] for key in client.get("/admin/api/keys", headers=writer).json()} == {"bot", "test"}


def test_uploads_in_flight_are_shown(world: World) -> None:
    now = time.time()
    upload = UploadInfo(
        id="u", started_at=now - 5, seen_at=now, received_bytes=5_000_000, declared_bytes=9_000_000,
        filename="big.wav",
    )  # fmt: skip
    world.uploads.beat([upload])
    page = log_in(world, VIEWER).get("/admin").text
    assert "big.wav" in page
    assert "5.0 MB" in page


def test_a_receiver_that_fails_for_three_days_is_disabled_and_the_dashboard_says_so(world: World) -> None:
    begin, outbound = time.time() - 4 * 86_400, MemoryHttpSender()
    outbound.answer = Answer(status=500, headers={}, body=b"", is_internal=False)
    world.endpoints.add(an_endpoint())
    for day in range(4):
        assert "is disabled" not in log_in(world, VIEWER).get("/admin").text
        world.deliveries.add(a_delivery(day, endpoint_id="ep_1", owner="key-1", secret=None))
        notifier = DeliveryWorker(
            deliveries=world.deliveries,
            endpoints=world.endpoints,
            outbound=outbound,
            terms=DeliveryConfig(timeout_seconds=15),
            clock=lambda day=day: begin + day * 86_400,  # type: ignore[misc]  # each day its own
        )
        assert notifier.notify(f"msg_{day}") is not None
    page = log_in(world, VIEWER).get("/admin").text
    assert "The webhook ep_1 of the API key key-1 is disabled: It failed for three days." in page

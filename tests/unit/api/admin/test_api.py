"""The JSON API."""

from shared.domain.api_key import Scope
from tests.support.api_harness import ApiHarness
from tests.support.dashboard import make_dead_job


def test_an_api_key_with_admin_scopes_uses_the_json_api(api: ApiHarness) -> None:
    api.jobs.add(make_dead_job("job-1"))
    client = api.client
    client.headers.update({"Accept": "application/json", "Sec-Fetch-Site": "none"})
    reader = {"Authorization": f"Bearer {api.token(Scope.ADMIN_READ)}"}
    writer = {"Authorization": f"Bearer {api.token(Scope.ADMIN_READ, Scope.ADMIN_WRITE)}"}
    assert client.get("/admin/api/now").status_code == 401
    user = {"Authorization": f"Bearer {api.token(Scope.JOBS_READ)}"}
    assert client.get("/admin/api/now", headers=user).status_code == 403
    assert client.get("/admin/api/now", headers=reader).json()["states"]["dead"] == 1
    assert len(client.get("/admin/api/history?span=day", headers=reader).json()["buckets"]) == 96
    found = client.get("/admin/api/jobs?state=dead", headers=reader).json()["jobs"]
    assert [job["id"] for job in found] == ["job-1"]
    body = {"action": "retry", "matching": True}
    assert client.post("/admin/api/bulk-actions", headers=reader, json=body).status_code == 403
    assert client.post("/admin/api/bulk-actions", headers=writer, json=body).json() == {
        "done": 1,
        "refused": [],
        "has_more": False,
        "left": False,
    }
    assert client.post("/admin/api/queues/batch/pause", headers=writer).status_code == 204
    assert api.controls.paused() == {"batch"}
    (pause, retry) = client.get("/admin/api/audit", headers=reader).json()
    assert (pause["action"], retry["action"], retry["count"]) == ("pause", "retry", 1)
    assert pause["actor"].startswith("key ")

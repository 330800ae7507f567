"""API keys."""

import re

from shared.domain.api_key import Scope
from tests.support.api_harness import ApiHarness
from tests.support.dashboard import audited, log_in


def test_a_key_is_created_shown_once_and_revoked(api: ApiHarness) -> None:
    client = log_in(api, name="Ann")
    page = client.post("/admin/keys", data={"name": "for the app", "scopes": ["jobs:read"], "days": "9"}).text
    token = re.search(r"kam_[0-9a-f]{12}_[0-9a-f]{64}", page)
    assert token is not None
    again = client.get("/admin/keys").text
    assert token[0] not in again
    assert "for the app" in again
    key_id = token[0].split("_")[1]
    with_key = {"Authorization": f"Bearer {token[0]}", "Accept": "application/json"}
    assert re.search(r'data-label="Last used">\s*never', again)
    assert client.get("/v1/jobs", headers=with_key).status_code == 200
    assert not re.search(r'data-label="Last used">\s*never', client.get("/admin/keys").text)
    assert "Revoke the key “for the app”?" in client.get(f"/admin/keys/{key_id}/revoke").text
    assert client.get("/v1/jobs", headers=with_key).status_code == 200  # the question revokes nothing
    assert client.get("/admin/keys/none/revoke").status_code == 404
    assert "The key “for the app” is revoked." in client.post(f"/admin/keys/{key_id}/revoke").text
    assert client.get("/v1/jobs", headers=with_key).status_code == 401
    acts = [(entry.who, entry.act) for entry in audited(api)]
    assert acts == [("operator Ann", "revoke key"), ("operator Ann", "create key")]
    assert token[0] not in str(audited(api))


def test_keys_are_created_and_revoked_over_json(api: ApiHarness) -> None:
    client = api.client
    client.headers.update({"Accept": "application/json"})
    writer = {"Authorization": f"Bearer {api.token(Scope.ADMIN_WRITE, Scope.ADMIN_READ)}"}
    made = client.post("/admin/api/keys", headers=writer, json={"name": "bot"})
    assert made.status_code == 201
    ended = client.post(f"/admin/api/keys/{made.json()['id']}/revoke", headers=writer)
    assert ended.json()["usable"] is False
    assert {key["name"] for key in client.get("/admin/api/keys", headers=writer).json()} == {"bot", "test"}

import json

import pytest

from api.access.key_commands import run
from shared.domain.api_key import Scope, check_token, key_id_of
from shared.errors import BadRequest, NotFound
from tests.support.fakes.jobs import MemoryApiKeyStore


@pytest.fixture
def keys() -> MemoryApiKeyStore:
    return MemoryApiKeyStore()


def call(keys: MemoryApiKeyStore, *arguments: str) -> None:
    assert run(["keys", *arguments], connect=lambda: keys) == 0


def test_a_key_is_printed_once_and_its_hash_is_stored(
    keys: MemoryApiKeyStore, capsys: pytest.CaptureFixture[str]
) -> None:
    call(keys, "create", "ci", "--scope", "jobs:read", "--scope", "admin:read", "--expires-in", "90d")
    token = capsys.readouterr().out.strip()
    key = keys.keys[key_id_of(token)]
    assert check_token(token, key, now=key.created_at) is key
    assert key.scopes == {Scope.JOBS_READ, Scope.ADMIN_READ}
    assert key.expires_at == key.created_at + 90 * 86_400
    call(keys, "list")
    call(keys, "list", "--json")
    shown = capsys.readouterr()
    assert token.rpartition("_")[2] not in shown.out + shown.err
    assert key.secret_hash not in shown.out
    assert json.loads(shown.out.splitlines()[-1])["state"] == "usable"


def test_a_key_has_the_scopes_for_jobs_by_default(
    keys: MemoryApiKeyStore, capsys: pytest.CaptureFixture[str]
) -> None:
    call(keys, "create", "laptop")
    (key,) = keys.list_all()
    assert key_id_of(capsys.readouterr().out.strip()) == key.id
    assert key.scopes == {Scope.JOBS_READ, Scope.JOBS_WRITE}
    assert key.expires_at is None


def test_a_revoked_key_is_listed_as_revoked(
    keys: MemoryApiKeyStore, capsys: pytest.CaptureFixture[str]
) -> None:
    call(keys, "create", "laptop")
    call(keys, "revoke", keys.list_all()[0].id)
    capsys.readouterr()
    call(keys, "list")
    assert "revoked" in capsys.readouterr().out


def test_a_wrong_command_gets_an_error(keys: MemoryApiKeyStore) -> None:
    with pytest.raises(NotFound):
        run(["keys", "revoke", "nobody"], connect=lambda: keys)
    for wrong in ("0d", "d", "-1d", "5w", "1e9d"):
        with pytest.raises(BadRequest):
            run(["keys", "create", "a", f"--expires-in={wrong}"], connect=lambda: keys)
    with pytest.raises(SystemExit):
        run(["keys", "create", "a", "--scope", "everything"], connect=lambda: keys)
    assert keys.keys == {}

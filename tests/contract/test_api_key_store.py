import pytest

from shared.domain.api_key import Scope, issue_key
from shared.errors import Conflict, NotFound
from shared.ports.access import ApiKeyStore

BOTH = frozenset({Scope.JOBS_READ, Scope.JOBS_WRITE})


def test_a_key_is_read_as_it_was_written(keys: ApiKeyStore) -> None:
    key, _ = issue_key("Jürgen's laptop", scopes=BOTH, now=10.0, expires_at=20.5)
    keys.add(key)
    assert keys.find(key.id) == key


def test_an_unknown_key_is_none(keys: ApiKeyStore) -> None:
    assert keys.find("0" * 12) is None
    assert keys.list_all() == ()
    with pytest.raises(NotFound):
        keys.revoke("0" * 12, now=1.0)


def test_the_last_use_of_a_key_is_recorded(keys: ApiKeyStore) -> None:
    key, _ = issue_key("a", scopes=BOTH, now=10.0)
    keys.add(key)
    keys.mark_used(key.id, now=12.5)
    found = keys.find(key.id)
    assert found is not None
    assert found.last_used_at == 12.5
    assert keys.list_all()[0].last_used_at == 12.5
    assert keys.revoke(key.id, now=13.0).last_used_at == 12.5


def test_an_id_cannot_be_used_twice(keys: ApiKeyStore) -> None:
    key, _ = issue_key("a", scopes=BOTH, now=10.0)
    keys.add(key)
    with pytest.raises(Conflict):
        keys.add(key)


def test_keys_are_listed_newest_first(keys: ApiKeyStore) -> None:
    for name, now in (("old", 1.0), ("new", 3.0), ("middle", 2.0)):
        keys.add(issue_key(name, scopes=BOTH, now=now)[0])
    assert [key.name for key in keys.list_all()] == ["new", "middle", "old"]


def test_a_revocation_is_final_and_keeps_its_first_time(keys: ApiKeyStore) -> None:
    key, _ = issue_key("a", scopes=BOTH, now=10.0)
    keys.add(key)
    keys.revoke(key.id, now=11.0)
    assert keys.revoke(key.id, now=12.0).revoked_at == 11.0
    found = keys.find(key.id)
    assert found is not None
    assert found.revoked_at == 11.0
    assert [each.revoked_at for each in keys.list_all()] == [11.0]
    with pytest.raises(Conflict):
        keys.add(key)

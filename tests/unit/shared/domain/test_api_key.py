from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.api_key import Scope, check_token, issue_key, key_id_of, with_included
from shared.errors import BadRequest, Unauthenticated

READ = frozenset({Scope.JOBS_READ})


def test_the_token_of_a_key_is_accepted() -> None:
    key, token = issue_key("a", scopes=READ, now=1.0)
    assert key_id_of(token) == key.id
    assert check_token(token, key, now=2.0) is key


def test_the_record_does_not_contain_the_secret() -> None:
    key, token = issue_key("a", scopes=READ, now=1.0)
    assert token.rpartition("_")[2] not in repr(key)


def test_keys_are_unique() -> None:
    assert len({issue_key("a", scopes=READ, now=1.0)[1] for _ in range(100)}) == 100


def test_the_secret_of_another_key_is_refused() -> None:
    key, _ = issue_key("a", scopes=READ, now=1.0)
    _, other = issue_key("b", scopes=READ, now=1.0)
    forged = f"kam_{key.id}_{other.rpartition('_')[2]}"
    with pytest.raises(Unauthenticated, match="is invalid"):
        check_token(forged, key, now=2.0)


def test_an_unknown_id_and_a_wrong_secret_get_the_same_error() -> None:
    key, token = issue_key("a", scopes=READ, now=1.0)
    answers = []
    for found, tried in ((None, token), (key, token[:-1] + ("0" if token[-1] != "0" else "1"))):
        with pytest.raises(Unauthenticated) as refused:
            check_token(tried, found, now=2.0)
        answers.append(refused.value.message)
    assert answers[0] == answers[1]


def test_a_key_ends_at_its_expiry_and_at_its_revocation() -> None:
    key, token = issue_key("a", scopes=READ, now=1.0, expires_at=10.0)
    check_token(token, key, now=9.999)
    with pytest.raises(Unauthenticated, match="expired"):
        check_token(token, key, now=10.0)
    with pytest.raises(Unauthenticated, match="revoked"):
        check_token(token, key.revoke(now=3.0), now=2.0)


def test_only_the_right_secret_gets_the_error_for_a_revoked_key() -> None:
    key, token = issue_key("a", scopes=READ, now=1.0)
    wrong = token[:-4] + ("0000" if not token.endswith("0000") else "1111")
    with pytest.raises(Unauthenticated, match="is invalid"):
        check_token(wrong, key.revoke(now=3.0), now=4.0)


@given(st.text(max_size=120))
def test_nothing_else_is_a_token(text: str) -> None:
    with pytest.raises(Unauthenticated):
        key_id_of(text)


@pytest.mark.parametrize("twist", ["{}\n", " {}", "{}0", "\u0660{}"])
def test_a_token_is_compared_exactly(twist: str) -> None:
    _, token = issue_key("a", scopes=READ, now=1.0)
    with pytest.raises(Unauthenticated):
        key_id_of(twist.format(token))


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\x1b[31mb", "a\u202eb"])
def test_a_name_is_printable_and_short(name: str) -> None:
    with pytest.raises(BadRequest):
        issue_key(name, scopes=READ, now=1.0)


def test_a_key_needs_a_scope_and_a_future_expiry() -> None:
    with pytest.raises(BadRequest):
        issue_key("a", scopes=frozenset(), now=1.0)
    with pytest.raises(BadRequest):
        issue_key("a", scopes=READ, now=1.0, expires_at=1.0)


def test_admin_scopes_include_the_scopes_for_jobs() -> None:
    assert with_included(frozenset({Scope.ADMIN_READ})) == {Scope.ADMIN_READ, Scope.JOBS_READ}
    assert with_included(frozenset({Scope.ADMIN_WRITE})) == {Scope.ADMIN_WRITE, Scope.JOBS_WRITE}
    assert with_included(READ) == READ


def test_revoking_twice_keeps_the_first_time() -> None:
    key, _ = issue_key("a", scopes=READ, now=1.0)
    assert replace(key, revoked_at=5.0) == key.revoke(now=5.0).revoke(now=6.0)

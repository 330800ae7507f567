from dataclasses import replace

from shared.ports.uploads import IdempotencyClaim, IdempotencyStore, StoredResponse

FIRST = IdempotencyClaim(request_fingerprint="head", resource_id="job-1", lock_owner="a", locked_until=100.0)
SECOND = replace(FIRST, resource_id="job-2", lock_owner="b", locked_until=130.0)
ANSWER = StoredResponse(status=202, headers={"location": "/v1/jobs/job-1"}, body='{"é": 1}')


def test_the_first_claim_wins(claims: IdempotencyStore) -> None:
    assert claims.claim("key", FIRST, now=70.0) == FIRST
    assert claims.claim("key", SECOND, now=71.0) == FIRST
    assert claims.claim("other", SECOND, now=71.0) == SECOND


def test_an_expired_claim_passes_to_the_same_request_with_its_id(claims: IdempotencyStore) -> None:
    claims.claim("key", FIRST, now=70.0)
    claims.renew("key", lock_owner="a", locked_until=110.0)
    assert claims.claim("key", SECOND, now=109.0).lock_owner == "a"
    assert claims.claim("key", SECOND, now=110.0) == replace(SECOND, resource_id="job-1")
    assert claims.claim("key", replace(FIRST, lock_owner="c"), now=111.0).lock_owner == "b"


def test_an_expired_claim_does_not_pass_to_a_different_request(claims: IdempotencyStore) -> None:
    claims.claim("key", FIRST, now=70.0)
    other = replace(SECOND, request_fingerprint="another")
    assert claims.claim("key", other, now=1000.0) == FIRST


def test_a_stored_response_does_not_depend_on_the_clock(claims: IdempotencyStore) -> None:
    claims.claim("key", FIRST, now=70.0)
    claims.complete("key", lock_owner="a", body_fingerprint="whole", response=ANSWER)
    want = replace(FIRST, body_fingerprint="whole", response=ANSWER)
    assert claims.claim("key", SECOND, now=1000.0) == want


def test_a_released_key_is_free(claims: IdempotencyStore) -> None:
    claims.claim("key", FIRST, now=70.0)
    claims.release("key", lock_owner="a")
    assert claims.claim("key", SECOND, now=71.0) == SECOND


def test_only_the_lock_owner_changes_a_claim(claims: IdempotencyStore) -> None:
    claims.claim("key", FIRST, now=70.0)
    claims.renew("key", lock_owner="b", locked_until=1000.0)
    claims.complete("key", lock_owner="b", body_fingerprint="whole", response=ANSWER)
    claims.release("key", lock_owner="b")
    assert claims.claim("key", SECOND, now=71.0) == FIRST
    claims.renew("nobody", lock_owner="b", locked_until=1000.0)
    assert claims.claim("nobody", SECOND, now=71.0) == SECOND

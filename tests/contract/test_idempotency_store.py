from dataclasses import replace

from shared.ports.uploads import Answer, IdempotencyClaim, IdempotencyStore

FIRST = IdempotencyClaim(head="head", subject="job-1", holder="a", until=100.0)
SECOND = replace(FIRST, subject="job-2", holder="b", until=130.0)
ANSWER = Answer(status=202, headers={"location": "/v1/jobs/job-1"}, body='{"é": 1}')


def test_the_first_claim_stands(claims: IdempotencyStore) -> None:
    assert claims.claim("key", FIRST, now=70.0) == FIRST
    assert claims.claim("key", SECOND, now=71.0) == FIRST
    assert claims.claim("other", SECOND, now=71.0) == SECOND


def test_a_dead_holders_claim_goes_over_with_its_subject(claims: IdempotencyStore) -> None:
    claims.claim("key", FIRST, now=70.0)
    claims.renew("key", holder="a", until=110.0)
    assert claims.claim("key", SECOND, now=109.0).holder == "a"
    assert claims.claim("key", SECOND, now=110.0) == replace(SECOND, subject="job-1")
    assert claims.claim("key", replace(FIRST, holder="c"), now=111.0).holder == "b"


def test_a_dead_holders_claim_stays_where_the_request_is_another(claims: IdempotencyStore) -> None:
    claims.claim("key", FIRST, now=70.0)
    other = replace(SECOND, head="another")
    assert claims.claim("key", other, now=1000.0) == FIRST


def test_an_answer_is_kept_whatever_the_clock_says(claims: IdempotencyStore) -> None:
    claims.claim("key", FIRST, now=70.0)
    claims.settle("key", holder="a", whole="whole", answer=ANSWER)
    want = replace(FIRST, whole="whole", answer=ANSWER)
    assert claims.claim("key", SECOND, now=1000.0) == want


def test_a_released_key_is_free(claims: IdempotencyStore) -> None:
    claims.claim("key", FIRST, now=70.0)
    claims.release("key", holder="a")
    assert claims.claim("key", SECOND, now=71.0) == SECOND


def test_only_the_holder_changes_a_claim(claims: IdempotencyStore) -> None:
    claims.claim("key", FIRST, now=70.0)
    claims.renew("key", holder="b", until=1000.0)
    claims.settle("key", holder="b", whole="whole", answer=ANSWER)
    claims.release("key", holder="b")
    assert claims.claim("key", SECOND, now=71.0) == FIRST
    claims.renew("nobody", holder="b", until=1000.0)
    assert claims.claim("nobody", SECOND, now=71.0) == SECOND

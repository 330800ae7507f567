"""IdempotencyStore in Redis: one hash with a time to live for each Idempotency-Key.

claim:{key}    head (request fingerprint), subject (resource id), holder (lock owner), until (locked until),
               whole (body fingerprint), answer (response)
"""

from functools import partial
from typing import Any

import redis
from pydantic import TypeAdapter

from shared.ports.uploads import IdempotencyClaim, StoredResponse
from shared.redis.client import translate_redis_errors

_translate_errors = partial(
    translate_redis_errors, "The idempotency store is unavailable. Try again in a few seconds."
)

_CLAIM = """
local until_, answer, head = unpack(redis.call('HMGET', KEYS[1], 'until', 'answer', 'head'))
if not until_ then
  redis.call('HSET', KEYS[1], 'head', ARGV[3], 'subject', ARGV[4], 'holder', ARGV[5], 'until', ARGV[6])
  redis.call('EXPIRE', KEYS[1], ARGV[2])
elseif not answer and head == ARGV[3] and tonumber(until_) <= tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'holder', ARGV[5], 'until', ARGV[6])
end
return redis.call('HMGET', KEYS[1], 'head', 'subject', 'holder', 'until', 'whole', 'answer')
"""
_IF_LOCK_OWNER = """
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
if ARGV[2] == '' then return redis.call('DEL', KEYS[1]) end
return redis.call('HSET', KEYS[1], unpack(ARGV, 2))
"""

_RESPONSE = TypeAdapter(StoredResponse)


class RedisIdempotencyStore:
    """Idempotency-Keys, kept for a day."""

    def __init__(self, client: "redis.Redis", *, prefix: str, ttl_seconds: int = 24 * 3600) -> None:
        self._prefix = prefix
        self._ttl_seconds = ttl_seconds
        self._claim = client.register_script(_CLAIM)
        self._if_lock_owner = client.register_script(_IF_LOCK_OWNER)

    def claim(self, key: str, requested: IdempotencyClaim, *, now: float) -> IdempotencyClaim:
        """Claim a key; return the claim that counts, this one or an earlier one."""
        args: list[str | int | float] = [
            now,
            self._ttl_seconds,
            requested.request_fingerprint,
            requested.resource_id,
            requested.lock_owner,
            requested.locked_until,
        ]
        with _translate_errors():
            found: Any = self._claim(keys=[self._name(key)], args=args)
        head, subject, holder, until, whole, answer = found
        return IdempotencyClaim(
            request_fingerprint=head,
            resource_id=subject,
            lock_owner=holder,
            locked_until=float(until),
            body_fingerprint=whole,
            response=_RESPONSE.validate_json(answer) if answer else None,
        )

    def renew(self, key: str, *, lock_owner: str, locked_until: float) -> None:
        """Extend the lock."""
        self._change(key, lock_owner, "until", str(locked_until))

    def complete(self, key: str, *, lock_owner: str, body_fingerprint: str, response: StoredResponse) -> None:
        """Record the response."""
        self._change(
            key, lock_owner, "whole", body_fingerprint, "answer", _RESPONSE.dump_json(response).decode()
        )

    def release(self, key: str, *, lock_owner: str) -> None:
        """Delete the claim: the request has created nothing."""
        self._change(key, lock_owner, "")

    def _change(self, key: str, *args: str) -> None:
        with _translate_errors():
            self._if_lock_owner(keys=[self._name(key)], args=list(args))

    def _name(self, key: str) -> str:
        return f"{self._prefix}claim:{key}"

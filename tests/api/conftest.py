"""The API over fakes."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.terms import JobTerms
from shared.keys import Scope, issue_key
from tests.fake_uploads import (
    MemoryClaimStore,
    MemoryDirectStore,
    MemoryPartStore,
    MemoryResumableStore,
    MemoryUploadRegistry,
)
from tests.fakes import (
    MemoryAudioStore,
    MemoryJobQueue,
    MemoryJobStore,
    MemoryKeyStore,
    MemoryTransitions,
    MemoryWorkerRegistry,
)

MOST_BYTES = 12 * 1024 * 1024


@dataclass
class World:
    client: TestClient
    jobs: MemoryJobStore
    audio: MemoryAudioStore
    queue: MemoryJobQueue
    workers: MemoryWorkerRegistry
    keys: MemoryKeyStore = field(default_factory=MemoryKeyStore)
    uploads: MemoryUploadRegistry = field(default_factory=MemoryUploadRegistry)
    claims: MemoryClaimStore = field(default_factory=MemoryClaimStore)
    direct: MemoryDirectStore | None = None
    parts: MemoryPartStore | None = None
    resumables: MemoryResumableStore = field(default_factory=MemoryResumableStore)

    def token(self, *scopes: Scope, **changes: Any) -> str:
        """A new key's token."""
        fields: dict[str, Any] = {"scopes": frozenset(scopes), "now": time.time()}
        key, token = issue_key("test", **fields | changes)
        self.keys.add(key)
        return token


def a_world(**changes: Any) -> World:
    """An app over fakes; `changes` go to create_app."""
    jobs, audio, queue = MemoryJobStore(), MemoryAudioStore(), MemoryJobQueue()
    workers, keys = MemoryWorkerRegistry(), MemoryKeyStore()
    uploads, claims = MemoryUploadRegistry(), MemoryClaimStore()
    parts, resumables = MemoryPartStore(audio), MemoryResumableStore()
    direct = MemoryDirectStore(audio, parts)
    fields: dict[str, Any] = {
        "jobs": jobs,
        "audio": audio,
        "queue": queue,
        "workers": workers,
        "keys": keys,
        "anonymous": True,
        "uploads": uploads,
        "claims": claims,
        "direct": direct,
        "parts": parts,
        "resumables": resumables,
        "transitions": MemoryTransitions(jobs),
        "terms": JobTerms(max_upload_bytes=MOST_BYTES, upload_idle_seconds=5, attempts=3, keep_seconds=60),
    }
    client = TestClient(create_app(**fields | changes), raise_server_exceptions=False)
    return World(client, jobs, audio, queue, workers, keys, uploads, claims, direct, parts, resumables)


@pytest.fixture
def world() -> Iterator[World]:
    made = a_world()
    with made.client:
        yield made


@pytest.fixture
def closed_world() -> Iterator[World]:
    """Nobody comes in without an API key."""
    made = a_world(anonymous=False)
    with made.client:
        yield made

"""The API over fakes."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.headers import Web
from api.limits import Limits
from api.sessions import Sessions
from api.terms import JobTerms
from api.webhook_acts import WebhookActs
from shared.bookkeeper import Bookkeeper
from shared.counts import Tally
from shared.keys import Scope, issue_key
from shared.outbound import OutboundRules
from shared.outbound_http import Outbound
from shared.traces import NoTraces
from tests.fake_batches import MemoryBatchStore
from tests.fake_uploads import (
    MemoryClaimStore,
    MemoryDirectStore,
    MemoryPartStore,
    MemoryRecall,
    MemoryResumableStore,
    MemoryUploadRegistry,
)
from tests.fakes import (
    MemoryAudioStore,
    MemoryCountStore,
    MemoryJobQueue,
    MemoryJobStore,
    MemoryKeyStore,
    MemoryLimiter,
    MemoryTransitions,
    MemoryWorkerRegistry,
)
from tests.fakes_oversight import MemoryVault, a_board
from tests.webhook_fakes import MemoryDeliveryStore, MemoryEndpointStore

OPERATOR, VIEWER = "let me work", "let me look"
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
    deliveries: MemoryDeliveryStore = field(default_factory=MemoryDeliveryStore)
    endpoints: MemoryEndpointStore = field(default_factory=MemoryEndpointStore)
    parts: MemoryPartStore | None = None
    resumables: MemoryResumableStore = field(default_factory=MemoryResumableStore)
    batches: MemoryBatchStore | None = None

    def token(self, *scopes: Scope, **changes: Any) -> str:
        """A new key's token."""
        fields: dict[str, Any] = {"scopes": frozenset(scopes), "now": time.time()}
        key, token = issue_key("test", **fields | changes)
        self.keys.add(key)
        return token


def public_only(url: str) -> str:
    """As the real one does it, in a world with one public name."""
    known = {"hooks.example": ["93.184.215.14"], "files.example": ["93.184.215.15"]}
    outbound = Outbound(rules=OutboundRules(), resolver=lambda host, _: known.get(host, []))
    return str(outbound.check(url))


def a_world(**changes: Any) -> World:
    """An app over fakes; `changes` go to create_app."""
    jobs, audio, queue = MemoryJobStore(), MemoryAudioStore(), MemoryJobQueue()
    workers, keys, counts = MemoryWorkerRegistry(), MemoryKeyStore(), MemoryCountStore()
    uploads, claims = MemoryUploadRegistry(), MemoryClaimStore()
    deliveries, endpoints = MemoryDeliveryStore(), MemoryEndpointStore()
    parts, resumables = MemoryPartStore(audio), MemoryResumableStore()
    direct = MemoryDirectStore(audio, parts)
    batches = MemoryBatchStore(jobs, deliveries)
    fields: dict[str, Any] = {
        "jobs": jobs,
        "batches": batches,
        "audio": audio,
        "queue": queue,
        "workers": workers,
        "keys": keys,
        "anonymous": True,
        "uploads": uploads,
        "claims": claims,
        "recall": MemoryRecall(jobs),
        "limiter": MemoryLimiter(),
        "limits": Limits(),
        "traces": NoTraces(),
        "counts": counts,
        "books": Bookkeeper(counts, tally=Tally(), process="api"),
        "web": Web(),
        "direct": direct,
        "parts": parts,
        "resumables": resumables,
        "transitions": MemoryTransitions(jobs),
        "webhooks": WebhookActs(deliveries=deliveries, endpoints=endpoints, check_url=public_only),
        "check_source": public_only,
        "board": a_board(jobs, audio, workers, deliveries, endpoints, uploads),
        "sessions": Sessions(MemoryVault(), operator_password=OPERATOR, viewer_password=VIEWER),
        "terms": JobTerms(max_upload_bytes=MOST_BYTES, upload_idle_seconds=5, attempts=3, keep_seconds=60),
    }
    client = TestClient(create_app(**fields | changes), raise_server_exceptions=False)
    return World(
        client,
        jobs,
        audio,
        queue,
        workers,
        keys,
        uploads,
        claims,
        direct,
        deliveries=deliveries,
        endpoints=endpoints,
        parts=parts,
        resumables=resumables,
        batches=batches,
    )


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

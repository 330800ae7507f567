"""The API over fakes."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.jobs import JobTerms
from tests.fakes import MemoryAudioStore, MemoryJobQueue, MemoryJobStore, MemoryWorkerRegistry

MOST_BYTES = 12 * 1024 * 1024


@dataclass
class World:
    client: TestClient
    jobs: MemoryJobStore
    audio: MemoryAudioStore
    queue: MemoryJobQueue
    workers: MemoryWorkerRegistry


@pytest.fixture
def world() -> Iterator[World]:
    jobs, audio, queue, workers = (
        MemoryJobStore(),
        MemoryAudioStore(),
        MemoryJobQueue(),
        MemoryWorkerRegistry(),
    )
    app = create_app(
        jobs=jobs,
        audio=audio,
        queue=queue,
        workers=workers,
        terms=JobTerms(max_upload_bytes=MOST_BYTES, upload_idle_seconds=5, attempts=3, keep_seconds=60),
    )
    with TestClient(app, raise_server_exceptions=False) as client:
        yield World(client, jobs, audio, queue, workers)

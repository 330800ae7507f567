"""What the worker reads of a long file in a real storage server, its own reading ahead included."""

import os
import uuid
from unittest import mock

import pytest

from shared.s3.audio_store import S3AudioStore
from shared.s3.client import connect_s3
from tests.support.long_kinds import LONG_KINDS, STORAGE_EXTRA_MIB, STORED_KINDS
from tests.support.servers import S3Server
from worker.jobs.analyze_audio import analyze_in_sandbox
from worker.jobs.cancellable_io import CancellableIO
from worker.sandbox.limits import ChildLimits
from worker.warm_up import warm_up

PART_BYTES = 8 << 20
WINDOW_SECONDS = 60.0
LIMITS = ChildLimits(memory_bytes=512 << 20, cpu_seconds=300, wall_seconds=600)


@pytest.fixture(scope="module", autouse=True)
def warmed_up() -> None:
    """Import what a child of the sandbox may not import."""
    warm_up()


@pytest.mark.parametrize("kind", STORED_KINDS)
def test_a_window_of_two_hours_is_read_without_the_rest(s3: S3Server, kind: str) -> None:
    content = (long_file := LONG_KINDS[kind]()).content
    window_bytes = len(content) * WINDOW_SECONDS / long_file.seconds
    read: list[int] = []
    keys = {"AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key}
    with mock.patch.dict(os.environ, keys):
        client = connect_s3(endpoint_url=s3.endpoint_url, region=s3.region)
        bucket = f"t{uuid.uuid4().hex[:8]}"
        client.create_bucket(Bucket=bucket)
        store = S3AudioStore(client, bucket=bucket, prefix="", part_bytes=PART_BYTES, on_read=read.append)
        upload = store.start_upload("a", media_type="audio/wav")
        for number, at in enumerate(range(0, len(content), PART_BYTES), start=1):
            upload.write(content[at : at + PART_BYTES], number=number)
        upload.finish()
        for start in (0.0, 3_600.0, 7_100.0):
            read.clear()
            with CancellableIO(lambda: None) as io, io.opened(lambda: store.open("a")) as audio:
                result = analyze_in_sandbox(
                    audio,
                    start_seconds=start,
                    window_seconds=WINDOW_SECONDS,
                    limits=LIMITS,
                    on_tick=lambda: None,
                )
            assert result.report.audio.analysed_seconds == pytest.approx(WINDOW_SECONDS)
            extra_mib = (sum(read) - window_bytes) / (1 << 20)
            assert extra_mib <= STORAGE_EXTRA_MIB, start
        store.delete("a")
    client.close()

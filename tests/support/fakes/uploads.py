"""The ports that only uploads need, in memory."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from shared.domain.report import Report
from shared.domain.report_cache import cache_key_of_report
from shared.errors import AudioMissing, Conflict, NotConfigured, NotFound
from shared.ports.audio import PresignedForm, PresignedRequest, PresignedUpload
from shared.ports.uploads import IdempotencyClaim, Remainder, StoredResponse, TusUpload, UploadInfo
from tests.support.fakes.jobs import MemoryAudioStore, MemoryJobStore


@dataclass
class MemoryUploadRegistry:
    uploads: dict[str, UploadInfo] = field(default_factory=dict)

    def heartbeat(self, uploads: Sequence[UploadInfo]) -> None:
        for upload in uploads:
            self.uploads[upload.id] = upload

    def deregister(self, upload_id: str) -> None:
        self.uploads.pop(upload_id, None)

    def list_alive(self) -> tuple[UploadInfo, ...]:
        return tuple(sorted(self.uploads.values(), key=lambda upload: upload.started_at))


@dataclass
class MemoryIdempotencyStore:
    claims: dict[str, IdempotencyClaim] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def claim(self, key: str, requested: IdempotencyClaim, *, now: float) -> IdempotencyClaim:
        with self.lock:
            found = self.claims.setdefault(key, requested)
            if (
                found.response is None
                and found.request_fingerprint == requested.request_fingerprint
                and found.locked_until <= now
            ):
                found = self.claims[key] = replace(
                    found, lock_owner=requested.lock_owner, locked_until=requested.locked_until
                )
            return found

    def renew(self, key: str, *, lock_owner: str, locked_until: float) -> None:
        if self._holds(key, lock_owner):
            self.claims[key] = replace(self.claims[key], locked_until=locked_until)

    def complete(self, key: str, *, lock_owner: str, body_fingerprint: str, response: StoredResponse) -> None:
        if self._holds(key, lock_owner):
            self.claims[key] = replace(self.claims[key], body_fingerprint=body_fingerprint, response=response)

    def release(self, key: str, *, lock_owner: str) -> None:
        if self._holds(key, lock_owner):
            del self.claims[key]

    def _holds(self, key: str, holder: str) -> bool:
        return key in self.claims and self.claims[key].lock_owner == holder


@dataclass
class MemoryReportIndex:
    jobs: MemoryJobStore

    def find(self, key: str, *, now: float) -> Report | None:
        found = [
            job
            for job in self.jobs.jobs.values()
            if cache_key_of_report(job) == key and (job.expires_at or 0.0) > now
        ]
        return max(found, key=lambda job: job.finished_at or 0.0).report if found else None


@dataclass
class MemoryPartStore:
    audio: MemoryAudioStore
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)

    def start(self, key: str, *, media_type: str) -> str:
        multipart = f"{key}-{len(self.parts)}"
        self.parts[multipart] = {}
        self.audio.uploads[multipart] = (key, time.time())
        return multipart

    def write(self, key: str, part: bytes | bytearray, *, multipart: str, number: int) -> None:
        self._there(multipart)[number] = bytes(part)

    def part_sizes(self, key: str, *, multipart: str) -> tuple[int, ...]:
        parts = self._there(multipart)
        found: list[int] = []
        while len(found) + 1 in parts:
            found.append(len(parts[len(found) + 1]))
        return tuple(found)

    def complete(self, key: str, *, multipart: str, size_bytes: int) -> None:
        if multipart not in self.audio.uploads:
            return
        data = b"".join(part for _, part in sorted(self.parts[multipart].items()))
        if len(data) != size_bytes:
            raise Conflict(f"{len(data):,} of {size_bytes:,} bytes have arrived.", code="upload_unfinished")
        self.audio.uploads.pop(multipart)
        self.audio.put(key, data, media_type="")

    def abort(self, key: str, *, multipart: str) -> None:
        self.audio.uploads.pop(multipart, None)

    def _there(self, multipart: str) -> dict[int, bytes]:
        if multipart not in self.audio.uploads:
            raise AudioMissing("The audio of this job is no longer in storage.")
        return self.parts[multipart]


@dataclass
class MemoryPresignedUploadStore:
    """Its addresses are `memory:<key>/<part>`; `put` stands for the client's request."""

    audio: MemoryAudioStore
    parts: MemoryPartStore
    part_bytes: int = 5 * 1024 * 1024
    problem: str | None = None
    """Why clients can't use it."""

    def check_address(self) -> None:
        if self.problem is not None:
            raise NotConfigured(self.problem)

    def presign(self, key: str, *, size_bytes: int, media_type: str, expires_seconds: int) -> PresignedUpload:
        if size_bytes <= self.part_bytes:
            headers = {"Content-Type": media_type}
            request = PresignedRequest(
                method="PUT", url=f"memory:{key}", headers=headers, size_bytes=size_bytes
            )
            return PresignedUpload(
                requests=(request,), form=PresignedForm(url=f"memory:{key}", fields={"key": key})
            )
        multipart = self.parts.start(key, media_type=media_type)
        starts = range(0, size_bytes, self.part_bytes)
        return PresignedUpload(
            requests=tuple(
                PresignedRequest(
                    method="PUT",
                    url=f"memory:{multipart}/{number}",
                    headers={},
                    size_bytes=min(self.part_bytes, size_bytes - start),
                )
                for number, start in enumerate(starts, 1)
            ),
            multipart=multipart,
        )

    def put(self, url: str, data: bytes) -> None:
        key, _, number = url.removeprefix("memory:").partition("/")
        if number:
            self.parts.write("", data, multipart=key, number=int(number))
        else:
            self.audio.put(key, data, media_type="")


@dataclass
class MemoryTusUploadStore:
    resumables: dict[str, TusUpload] = field(default_factory=dict)

    def add(self, upload: TusUpload) -> None:
        self.resumables[upload.id] = upload

    def get(self, upload_id: str) -> TusUpload:
        try:
            return self.resumables[upload_id]
        except KeyError:
            raise NotFound("There is no such upload. It may have expired, or be whole.") from None

    def acquire(self, upload_id: str, *, lock_owner: str) -> TusUpload:
        self.resumables[upload_id] = replace(self.get(upload_id), lock_owner=lock_owner)
        return self.resumables[upload_id]

    def save_progress(
        self, upload_id: str, *, lock_owner: str, remainder: Remainder | None, verified_parts: int | None
    ) -> bool:
        found = self.resumables.get(upload_id)
        if found is None or found.lock_owner != lock_owner:
            return False
        self.resumables[upload_id] = replace(found, remainder=remainder, verified_parts=verified_parts)
        return True

    def remove(self, upload_id: str) -> None:
        self.resumables.pop(upload_id, None)

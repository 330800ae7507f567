"""The ports that only uploads need, in memory."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from shared.domain.report import Report
from shared.domain.report_cache import recalled_as
from shared.errors import AudioMissing, Conflict, NotFound
from shared.ports.audio import PresignedForm, PresignedRequest, PresignedUpload
from shared.ports.uploads import Answer, IdempotencyClaim, Remainder, TusUpload, UploadInfo
from tests.support.fakes.jobs import MemoryAudioStore, MemoryJobStore


@dataclass
class MemoryUploadRegistry:
    uploads: dict[str, UploadInfo] = field(default_factory=dict)

    def beat(self, uploads: Sequence[UploadInfo]) -> None:
        for upload in uploads:
            self.uploads[upload.id] = upload

    def leave(self, upload_id: str) -> None:
        self.uploads.pop(upload_id, None)

    def alive(self) -> tuple[UploadInfo, ...]:
        return tuple(sorted(self.uploads.values(), key=lambda upload: upload.started_at))


@dataclass
class MemoryIdempotencyStore:
    claims: dict[str, IdempotencyClaim] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def claim(self, key: str, wanted: IdempotencyClaim, *, now: float) -> IdempotencyClaim:
        with self.lock:
            found = self.claims.setdefault(key, wanted)
            if found.answer is None and found.head == wanted.head and found.until <= now:
                found = self.claims[key] = replace(found, holder=wanted.holder, until=wanted.until)
            return found

    def renew(self, key: str, *, holder: str, until: float) -> None:
        if self._holds(key, holder):
            self.claims[key] = replace(self.claims[key], until=until)

    def settle(self, key: str, *, holder: str, whole: str, answer: Answer) -> None:
        if self._holds(key, holder):
            self.claims[key] = replace(self.claims[key], whole=whole, answer=answer)

    def release(self, key: str, *, holder: str) -> None:
        if self._holds(key, holder):
            del self.claims[key]

    def _holds(self, key: str, holder: str) -> bool:
        return key in self.claims and self.claims[key].holder == holder


@dataclass
class MemoryReportIndex:
    jobs: MemoryJobStore

    def report(self, key: str, *, now: float) -> Report | None:
        found = [
            job
            for job in self.jobs.jobs.values()
            if recalled_as(job) == key and (job.expires_at or 0.0) > now
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

    def sizes(self, key: str, *, multipart: str) -> tuple[int, ...]:
        parts = self._there(multipart)
        found: list[int] = []
        while len(found) + 1 in parts:
            found.append(len(parts[len(found) + 1]))
        return tuple(found)

    def join(self, key: str, *, multipart: str, size_bytes: int) -> None:
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

    def offer(self, key: str, *, size_bytes: int, media_type: str, seconds: int) -> PresignedUpload:
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

    def add(self, resumable: TusUpload) -> None:
        self.resumables[resumable.id] = resumable

    def get(self, upload_id: str) -> TusUpload:
        try:
            return self.resumables[upload_id]
        except KeyError:
            raise NotFound("There is no such upload. It may have expired, or be whole.") from None

    def take(self, upload_id: str, *, holder: str) -> TusUpload:
        self.resumables[upload_id] = replace(self.get(upload_id), holder=holder)
        return self.resumables[upload_id]

    def save_remainder(self, upload_id: str, *, holder: str, tail: Remainder | None) -> bool:
        found = self.resumables.get(upload_id)
        if found is None or found.holder != holder:
            return False
        self.resumables[upload_id] = replace(found, tail=tail)
        return True

    def remove(self, upload_id: str) -> None:
        self.resumables.pop(upload_id, None)

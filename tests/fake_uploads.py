"""The ports that only uploads need, in memory."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from shared.errors import Conflict
from shared.ports import Answer, Claim, Offer, SignedForm, SignedRequest, UploadInfo
from tests.fakes import MemoryAudioStore


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
class MemoryClaimStore:
    claims: dict[str, Claim] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def claim(self, key: str, wanted: Claim, *, now: float) -> Claim:
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
class MemoryDirectStore:
    """Its addresses are `memory:<key>/<part>`; `put` stands for the client's request."""

    audio: MemoryAudioStore
    part_bytes: int = 5 * 1024 * 1024
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)

    def offer(self, key: str, *, size_bytes: int, media_type: str, seconds: int) -> Offer:
        if size_bytes <= self.part_bytes:
            headers = {"Content-Type": media_type}
            request = SignedRequest(method="PUT", url=f"memory:{key}", headers=headers, size_bytes=size_bytes)
            return Offer(requests=(request,), form=SignedForm(url=f"memory:{key}", fields={"key": key}))
        self.parts[key] = {}
        self.audio.uploads[key] = (key, time.time())
        starts = range(0, size_bytes, self.part_bytes)
        return Offer(
            requests=tuple(
                SignedRequest(
                    method="PUT",
                    url=f"memory:{key}/{number}",
                    headers={},
                    size_bytes=min(self.part_bytes, size_bytes - start),
                )
                for number, start in enumerate(starts, 1)
            ),
            multipart=key,
        )

    def put(self, url: str, data: bytes) -> None:
        key, _, number = url.removeprefix("memory:").partition("/")
        if number:
            self.parts[key][int(number)] = data
        else:
            self.audio.put(key, data, media_type="")

    def join(self, key: str, *, multipart: str, size_bytes: int) -> None:
        if multipart not in self.audio.uploads:
            return
        data = b"".join(part for _, part in sorted(self.parts[key].items()))
        if len(data) != size_bytes:
            raise Conflict(f"{len(data):,} of {size_bytes:,} bytes have arrived.", code="upload_unfinished")
        self.audio.uploads.pop(multipart)
        self.audio.put(key, data, media_type="")

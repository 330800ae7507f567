"""The ports that only uploads need, in memory."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from shared.ports import Answer, Claim, UploadInfo


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

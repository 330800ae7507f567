"""AudioStore on any S3."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from shared.errors import AudioMissing, Unavailable
from shared.ports.audio import AudioUpload, StoredAudio
from shared.s3.client import abort_multipart, translate_s3_errors
from shared.s3.object_reader import READ_TIMEOUT_SECONDS, ObjectReader

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MARKER = ".installation"
"""The object that says which installation the others belong to."""
_MAX_MARKER_BYTES = 100
_PROBE = ".probe"
"""The object that `check` writes and reads."""
_WRITE_CHECK_SECONDS = 10.0


class S3AudioStore:
    """Objects under one prefix of one bucket."""

    def __init__(
        self,
        client: "S3Client",
        *,
        bucket: str,
        prefix: str,
        part_bytes: int,
        read_timeout_seconds: float = READ_TIMEOUT_SECONDS,
        on_read: Callable[[int], None] = lambda _: None,
    ) -> None:
        """*read_timeout_seconds* limits one read. *on_read* gets the number of bytes of each receive."""
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self.part_bytes = part_bytes
        self._read_timeout_seconds = read_timeout_seconds
        self._on_read = on_read
        self._write_checked_until = 0.0

    def put(self, key: str, data: bytes | bytearray, *, media_type: str) -> None:
        """Write a small object at once."""
        with translate_s3_errors():
            self._client.put_object(
                Bucket=self._bucket, Key=self._prefix + key, Body=cast(bytes, data), ContentType=media_type
            )

    def start_upload(self, key: str, *, media_type: str) -> AudioUpload:
        """Start writing an object."""
        return _S3Upload(self._client, self._bucket, self._prefix + key, media_type)

    def open(self, key: str) -> BinaryIO:
        """A seekable file over ranged reads. Raises AudioMissing."""
        reader = ObjectReader(
            self._client,
            self._bucket,
            self._prefix + key,
            read_timeout_seconds=self._read_timeout_seconds,
            on_read=self._on_read,
        )
        return cast(BinaryIO, reader)

    def delete(self, key: str) -> None:
        """Remove the object, if it exists."""
        with translate_s3_errors():
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    def list_older_than(self, *, before: float) -> Iterable[StoredAudio]:
        """Objects and unfinished uploads last changed before a time."""
        with translate_s3_errors():
            for page in self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            ):
                for found in page.get("Contents", []):
                    if found["LastModified"].timestamp() < before and self._key(found["Key"]) not in (
                        _MARKER,
                        _PROBE,
                    ):
                        yield StoredAudio(
                            key=self._key(found["Key"]), modified_at=found["LastModified"].timestamp()
                        )
            for uploads in self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            ):
                for upload in uploads.get("Uploads", []):
                    at = upload["Initiated"].timestamp()
                    if at < before:
                        yield StoredAudio(
                            key=self._key(upload["Key"]), modified_at=at, multipart=upload["UploadId"]
                        )

    def discard(self, stored: StoredAudio) -> None:
        """Remove an object or an unfinished upload."""
        if stored.multipart is None:
            return self.delete(stored.key)
        with translate_s3_errors():
            abort_multipart(self._client, self._bucket, self._prefix + stored.key, stored.multipart)

    def check(self) -> None:
        """Raise Unavailable unless objects can be read and written. Writes at most once in ten seconds."""
        now = time.monotonic()
        if now >= self._write_checked_until:
            self.put(_PROBE, b"", media_type="text/plain")
            self._write_checked_until = now + _WRITE_CHECK_SECONDS
        try:
            with translate_s3_errors():
                self._client.get_object(Bucket=self._bucket, Key=self._prefix + _PROBE)["Body"].close()
        except AudioMissing as error:
            self._write_checked_until = 0.0
            raise Unavailable("The audio storage lost an object. Check its rules and its disks.") from error

    def installation_id(self) -> str | None:
        """The id of the installation that the objects belong to."""
        try:
            with translate_s3_errors():
                found = self._client.get_object(Bucket=self._bucket, Key=self._prefix + _MARKER)
                return found["Body"].read(_MAX_MARKER_BYTES).decode("ascii", "replace").strip()
        except AudioMissing:
            return None

    def set_installation_id(self, installation_id: str) -> None:
        """Write the id of the installation next to the objects."""
        self.put(_MARKER, installation_id.encode(), media_type="text/plain")

    def _key(self, name: str) -> str:
        return name.removeprefix(self._prefix)


@dataclass(slots=True)
class _S3Upload:
    client: "S3Client"
    bucket: str
    name: str
    media_type: str
    upload_id: str | None = None
    etags: dict[int, str] = field(default_factory=dict)
    finished: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, part: bytes | bytearray, *, number: int) -> None:
        """Send one part."""
        with translate_s3_errors():
            sent = self.client.upload_part(
                Bucket=self.bucket,
                Key=self.name,
                UploadId=self._created(),
                PartNumber=number,
                Body=cast(bytes, part),
            )
        self.etags[number] = sent["ETag"]

    def finish(self) -> None:
        """Complete the object. Only then is it visible."""
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in sorted(self.etags.items())]
        with translate_s3_errors():
            self.client.complete_multipart_upload(
                Bucket=self.bucket,
                Key=self.name,
                UploadId=self._created(),
                MultipartUpload={"Parts": cast(Any, parts)},
            )
        self.finished = True

    def abort(self) -> None:
        """Remove everything, also if `finish` got no response but succeeded."""
        with translate_s3_errors():
            if self.upload_id is not None and not self.finished:
                abort_multipart(self.client, self.bucket, self.name, self.upload_id)
            self.client.delete_object(Bucket=self.bucket, Key=self.name)

    def _created(self) -> str:
        with self.lock:
            if self.upload_id is None:
                created = self.client.create_multipart_upload(
                    Bucket=self.bucket, Key=self.name, ContentType=self.media_type
                )
                self.upload_id = created["UploadId"]
            return self.upload_id

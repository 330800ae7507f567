"""PartStore on S3: multipart uploads that outlive a request and a process."""

from typing import TYPE_CHECKING, cast

from shared.errors import AudioMissing, Conflict
from shared.s3.client import abort_multipart, translate_s3_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import PartTypeDef


class S3PartStore:
    """Objects under one prefix of one bucket. The list of parts in S3 is the only state."""

    def __init__(self, client: "S3Client", *, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    def start(self, key: str, *, media_type: str) -> str:
        """Start a multipart upload. Returns its id in S3."""
        with translate_s3_errors():
            created = self._client.create_multipart_upload(
                Bucket=self._bucket, Key=self._prefix + key, ContentType=media_type
            )
        return created["UploadId"]

    def write(self, key: str, part: bytes | bytearray, *, multipart: str, number: int) -> None:
        """Send one part."""
        with translate_s3_errors():
            self._client.upload_part(
                Bucket=self._bucket,
                Key=self._prefix + key,
                UploadId=multipart,
                PartNumber=number,
                Body=cast(bytes, part),
            )

    def part_sizes(self, key: str, *, multipart: str) -> tuple[int, ...]:
        """The sizes of parts 1, 2, and so on, up to the first missing one, in bytes."""
        found: list[int] = []
        for part in self._parts(key, multipart):
            if part["PartNumber"] != len(found) + 1:
                break
            found.append(part["Size"])
        return tuple(found)

    def complete(self, key: str, *, multipart: str, size_bytes: int) -> None:
        """Complete the object from its parts."""
        try:
            parts = self._parts(key, multipart)
            arrived = sum(part["Size"] for part in parts)
            if arrived != size_bytes:
                raise Conflict(
                    f"{arrived:,} of {size_bytes:,} bytes have arrived. Send the other parts first.",
                    code="upload_unfinished",
                )
            with translate_s3_errors():
                self._client.complete_multipart_upload(
                    Bucket=self._bucket,
                    Key=self._prefix + key,
                    UploadId=multipart,
                    MultipartUpload={
                        "Parts": [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in parts]
                    },
                )
        except AudioMissing:
            return  # the parts are gone: completed before, or removed. Opening the object shows which

    def abort(self, key: str, *, multipart: str) -> None:
        """Remove all parts."""
        with translate_s3_errors():
            abort_multipart(self._client, self._bucket, self._prefix + key, multipart)

    def _parts(self, key: str, multipart: str) -> "list[PartTypeDef]":
        with translate_s3_errors():
            pages = self._client.get_paginator("list_parts").paginate(
                Bucket=self._bucket, Key=self._prefix + key, UploadId=multipart
            )
            listed = [part for page in pages for part in page.get("Parts", [])]
        # SeaweedFS lists both versions of a part that was sent twice
        listed.sort(key=lambda part: part["LastModified"])
        newest = {part["PartNumber"]: part for part in listed}
        return [part for _, part in sorted(newest.items())]

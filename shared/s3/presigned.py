"""PresignedUploadStore on S3. Size and type are signed, so S3 refuses anything else."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.errors import NotConfigured
from shared.ports.audio import PresignedForm, PresignedRequest, PresignedUpload
from shared.s3.client import translate_s3_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3PresignedUploadStore:
    """Objects under one prefix of one bucket, written by clients."""

    def __init__(
        self, client: "S3Client", *, public_client: "S3Client", bucket: str, prefix: str, part_bytes: int
    ) -> None:
        """*public_client* only signs: its endpoint is the one that clients reach."""
        self._client = client
        self._public = public_client
        self._bucket = bucket
        self._prefix = prefix
        self._part_bytes = part_bytes

    def check_address(self) -> None:
        """Raise NotConfigured if the address is a name that only containers of one network know."""
        host = urlsplit(self._public.meta.endpoint_url).hostname or ""
        if "." not in host and ":" not in host and host != "localhost":
            raise NotConfigured(
                f"Clients can't reach the S3 server as {host}. Set KAMMERTON_S3_PUBLIC_URL to its public "
                "address, or upload through the API."
            )

    def presign(self, key: str, *, size_bytes: int, media_type: str, expires_seconds: int) -> PresignedUpload:
        """Sign requests that write exactly this object, for *expires_seconds*."""
        if size_bytes > self._part_bytes:
            return self._in_parts(key, size_bytes, media_type, expires_seconds)
        name = self._prefix + key
        url = self._public.generate_presigned_url(
            "put_object",
            Params={
                "Bucket": self._bucket,
                "Key": name,
                "ContentType": media_type,
                "ContentLength": size_bytes,
            },
            ExpiresIn=expires_seconds,
        )
        form = self._public.generate_presigned_post(
            self._bucket,
            name,
            Fields={"Content-Type": media_type},
            Conditions=[{"Content-Type": media_type}, ["content-length-range", size_bytes, size_bytes]],
            ExpiresIn=expires_seconds,
        )
        put = PresignedRequest(
            method="PUT", url=url, headers={"Content-Type": media_type}, size_bytes=size_bytes
        )
        return PresignedUpload(requests=(put,), form=PresignedForm(url=form["url"], fields=form["fields"]))

    def _in_parts(self, key: str, size_bytes: int, media_type: str, seconds: int) -> PresignedUpload:
        name = self._prefix + key
        with translate_s3_errors():
            created = self._client.create_multipart_upload(
                Bucket=self._bucket, Key=name, ContentType=media_type
            )
        requests = []
        for number, start in enumerate(range(0, size_bytes, self._part_bytes), 1):
            size = min(self._part_bytes, size_bytes - start)
            params = {
                "Bucket": self._bucket,
                "Key": name,
                "UploadId": created["UploadId"],
                "PartNumber": number,
                "ContentLength": size,
            }
            url = self._public.generate_presigned_url("upload_part", Params=params, ExpiresIn=seconds)
            requests.append(PresignedRequest(method="PUT", url=url, headers={}, size_bytes=size))
        return PresignedUpload(requests=tuple(requests), multipart=created["UploadId"])

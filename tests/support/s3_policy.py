"""An S3 server that allows what an IAM policy allows, and refuses everything else with 403."""

import fnmatch
import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.s3_proxy import s3_relay
from tests.support.servers import S3Server

_REQUEST = re.compile(rb"(GET|HEAD|PUT|POST|DELETE) (\S+) HTTP/1\.1\r\n")
_OF_BUCKET = {
    ("GET", "lifecycle"): "s3:GetLifecycleConfiguration",
    ("PUT", "lifecycle"): "s3:PutLifecycleConfiguration",
    ("GET", "versioning"): "s3:GetBucketVersioning",
    ("GET", "cors"): "s3:GetBucketCORS",
    ("PUT", "cors"): "s3:PutBucketCORS",
    ("GET", "uploads"): "s3:ListBucketMultipartUploads",
    ("GET", ""): "s3:ListBucket",
    ("HEAD", ""): "s3:ListBucket",
    ("PUT", ""): "s3:CreateBucket",
    ("POST", ""): "s3:PutObject",  # a form
}
_OF_OBJECT = {
    ("GET", "uploadId"): "s3:ListMultipartUploadParts",
    ("DELETE", "uploadId"): "s3:AbortMultipartUpload",
    ("GET", ""): "s3:GetObject",
    ("HEAD", ""): "s3:GetObject",
    ("PUT", ""): "s3:PutObject",
    ("PUT", "uploadId"): "s3:PutObject",
    ("POST", "uploads"): "s3:PutObject",
    ("POST", "uploadId"): "s3:PutObject",
    ("DELETE", ""): "s3:DeleteObject",
}


@dataclass
class Policy:
    """The statements of one key."""

    statements: list[dict[str, Any]]
    url: str = ""
    allowed: set[str] = field(default_factory=set)
    """Actions that were used."""
    refused: set[str] = field(default_factory=set)

    def allows(self, action: str, resource: str) -> bool:
        return any(
            action in statement["Action"] and fnmatch.fnmatch(resource, statement["Resource"])
            for statement in self.statements
        )

    def check(self, request: bytes, client: socket.socket) -> bool:
        """Refuse the request; True: it was refused. Bytes that are not the beginning of a request pass."""
        found = _REQUEST.match(request)
        if found is None:
            return False
        action, resource = _asks(found[1].decode(), found[2].decode())
        if self.allows(action, resource):
            self.allowed.add(action)
            return False
        self.refused.add(f"{action} {resource}")
        body = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        head = f"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + (b"" if found[1] == b"HEAD" else body))
        return True


def _asks(method: str, target: str) -> tuple[str, str]:
    url = urlsplit(target)
    bucket, _, key = url.path.removeprefix("/").partition("/")
    query = parse_qs(url.query, keep_blank_values=True)
    table = _OF_OBJECT if key else _OF_BUCKET
    about = next((name for _, name in table if name and name in query), "")
    action = table.get((method, about), f"{method} {about}")
    return action, f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"


@contextmanager
def s3_with_policy(storage: S3Server, policy: str) -> Iterator[Policy]:
    """Yields the policy with the address of the server that follows it."""
    checked = Policy(json.loads(policy)["Statement"])
    with s3_relay(storage, lambda request, client, _: checked.check(request, client)) as checked.url:
        yield checked

"""Waits until the local S3 server accepts an object, and creates the bucket. Run by `local.s3.S3`."""

import os
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local.s3 import REGION

TIMEOUT_SECONDS = 60.0
PAUSE_SECONDS = 0.1


def main(endpoint_url: str, bucket: str) -> int:
    """0 once an object was written, 1 after the timeout, or if the launcher has ended."""
    config = Config(
        connect_timeout=1, read_timeout=5, retries={"total_max_attempts": 1}, proxies={"http": ""}
    )
    client = boto3.client("s3", endpoint_url=endpoint_url, region_name=REGION, config=config)
    launcher, deadline = os.getppid(), time.monotonic() + TIMEOUT_SECONDS
    while os.getppid() == launcher and time.monotonic() < deadline:
        try:
            if bucket not in [each.get("Name") for each in client.list_buckets()["Buckets"]]:
                client.create_bucket(Bucket=bucket)
            client.put_object(Bucket=bucket, Key=".ready", Body=b"ready")
            client.delete_object(Bucket=bucket, Key=".ready")
        except (BotoCoreError, ClientError):
            time.sleep(PAUSE_SECONDS)
        else:
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

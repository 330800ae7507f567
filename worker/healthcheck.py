"""`python -m worker.healthcheck`: exit status 1 if the worker on this host has not been heard of lately."""

import socket
import sys

from shared.errors import Unavailable
from shared.services import connect
from shared.settings import read_settings


def main() -> int:
    """0 also where nobody can be asked: starting a worker anew mends no other server."""
    try:
        alive = connect(read_settings()).workers.alive()
    except Unavailable as error:
        print(f"Not known: {error.message}")
        return 0
    if any(worker.host == socket.gethostname() for worker in alive):
        return 0
    print("No heartbeat from this worker.")
    return 1


if __name__ == "__main__":
    sys.exit(main())

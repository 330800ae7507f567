"""`python -m api keys create|list|revoke`: API keys from the command line."""

import sys

from api.access.key_commands import run
from shared.errors import KammertonError
from shared.services import connect
from shared.settings import read_settings


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 1 if it was refused."""
    try:
        return run(arguments, connect=lambda: connect(read_settings()).api_keys)
    except KammertonError as error:
        sys.stderr.write(f"kammerton: {error.message}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())

"""`python -m api serve` and `python -m api keys create|list|revoke`."""

import sys

from shared.errors import KammertonError


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    # Imported late: managing keys must not load the web server.
    if arguments[:1] == ["serve"]:
        from api.server import main as serve

        serve(arguments[1:])
        return 0
    from api.access.key_commands import run
    from shared.services import connect
    from shared.settings import read_settings

    try:
        return run(arguments, connect=lambda: connect(read_settings()).api_keys)
    except KammertonError as error:
        sys.stderr.write(f"kammerton: {error.message}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())

"""`python -m api serve`: uvicorn with the options that this service needs."""

import argparse

import uvicorn

from api.http.limits.connection import Connection
from shared.settings import read_settings


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m api serve", description="Serve the API over HTTP.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="(default: %(default)s)")
    options = parser.parse_args(arguments)
    settings = read_settings()
    uvicorn.run(
        "api.main:app",
        host=options.host,
        port=options.port,
        workers=settings.api_processes,
        timeout_keep_alive=settings.keep_alive_seconds,
        http=Connection,
        ws="none",
        proxy_headers=False,  # security_headers trusts those of KAMMERTON_TRUSTED_PROXIES only
        access_log=False,  # request_log writes a line per request, without its query string
    )


if __name__ == "__main__":
    main()

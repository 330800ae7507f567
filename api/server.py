"""`python -m api serve`: uvicorn with the options that this service needs."""

import argparse

import uvicorn

from api.http.connection import Connection


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m api serve", description="Serve the API over HTTP.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="(default: %(default)s)")
    options = parser.parse_args(arguments)
    uvicorn.run(
        "api.main:app",
        host=options.host,
        port=options.port,
        http=Connection,
        ws="none",
        proxy_headers=False,  # api.headers believes those that KAMMERTON_TRUSTED_PROXIES names, and no others
        access_log=False,  # RequestLog logs requests without their query strings
    )


if __name__ == "__main__":
    main()

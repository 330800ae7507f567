"""Create, list and revoke API keys at a terminal. A new key's token goes to stdout, once."""

import argparse
import json
import re
import sys
from collections.abc import Callable

from shared.clock import store_time
from shared.domain.api_key import ApiKey, Scope, issue_key
from shared.domain.timestamps import format_timestamp
from shared.errors import BadRequest
from shared.ports.access import ApiKeyStore

_SECONDS = {"m": 60, "h": 3600, "d": 86_400}


def run(
    arguments: list[str] | None, *, connect: Callable[[], ApiKeyStore], program: str = "python -m api"
) -> int:
    """Run one command. Returns its exit status. Raises BadRequest, NotFound, Unavailable."""
    options = _parser(program).parse_args(arguments)
    keys = connect()
    if options.command == "create":
        _create(keys, options)
    elif options.command == "list":
        _list(keys, as_json=options.json)
    else:
        key = keys.revoke(options.id, now=store_time())
        sys.stderr.write(f"Revoked the key {key.id} ({key.name}).\n")
    return 0


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, description="Manage API keys.")
    commands = parser.add_subparsers(required=True, metavar="keys").add_parser("keys", help="API keys")
    subcommands = commands.add_subparsers(required=True, dest="command")
    create = subcommands.add_parser("create", help="create a key and print its token, once")
    create.add_argument("name", help="who uses the key, and what for")
    create.add_argument(
        "--scope",
        action="append",
        choices=[*Scope],
        metavar="SCOPE",
        help=f"one of {', '.join(Scope)}; may be repeated (default: jobs:read and jobs:write)",
    )
    create.add_argument("--expires-in", metavar="TIME", help="for example 90d, 12h or 30m (default: never)")
    listing = subcommands.add_parser("list", help="list every key, without its secret")
    listing.add_argument("--json", action="store_true", help="print one JSON object per line")
    revoke = subcommands.add_parser("revoke", help="revoke a key now")
    revoke.add_argument("id", help="the key's id: the part between the underscores of kam_<id>_<secret>")
    return parser


def _create(keys: ApiKeyStore, options: argparse.Namespace) -> None:
    now = store_time()
    key, token = issue_key(
        options.name,
        scopes=frozenset(Scope(scope) for scope in options.scope or [Scope.JOBS_READ, Scope.JOBS_WRITE]),
        now=now,
        expires_at=None if options.expires_in is None else now + _seconds(options.expires_in),
    )
    keys.add(key)
    sys.stderr.write(f"{_line(key, now=now)}\nCopy the token now. It is not shown again:\n")
    print(token)


def _list(keys: ApiKeyStore, *, as_json: bool) -> None:
    now = store_time()
    for key in keys.list_all():
        print(json.dumps(_fields(key, now=now), ensure_ascii=False) if as_json else _line(key, now=now))


def _line(key: ApiKey, *, now: float) -> str:
    fields = _fields(key, now=now)
    scopes = ",".join(sorted(key.scopes))
    return f"{key.id}  {fields['state']:<8}  {scopes}  created {fields['created_at']}  {key.name}"


def _fields(key: ApiKey, *, now: float) -> dict[str, object]:
    inactive_state = "revoked" if key.revoked_at is not None else "expired"
    return {
        "id": key.id,
        "name": key.name,
        "state": "usable" if key.is_usable(now=now) else inactive_state,
        "scopes": sorted(key.scopes),
        "created_at": _time(key.created_at),
        "expires_at": _time(key.expires_at),
        "revoked_at": _time(key.revoked_at),
    }


def _time(timestamp: float | None) -> str | None:
    return None if timestamp is None else format_timestamp(timestamp)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", text)
    if match is None:
        raise BadRequest(
            "--expires-in must be a number of minutes, hours or days, for example 30m, 12h or 90d."
        )
    return float(match[1]) * _SECONDS[match[2]]

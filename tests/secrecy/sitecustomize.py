"""Writes down every secret at the place where a process makes it or is handed it, for a search of the logs.

Python runs this file at the start of every process that a test starts, by PYTHONPATH. Standard library only.
"""

import base64
import binascii
import functools
import importlib.abc
import importlib.machinery
import json
import os
import re
import secrets
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

FOLDER = "SECRECY_FOLDER"
"""Names the folder of this run in the environment. Without it nothing is written down."""
MADE_UP = "SECRECY_MADE_UP_REQUESTS"
"""Set where a generator writes the requests: it uses the same text as a credential and as a job's id."""

MINTS = {
    "shared.keys": "an API key",
    "shared.webhook": "a webhook's secret",
    "local.s3": "a key of the S3 server",
    "api.sessions": "a password or signing key of the dashboard",
}
"""Modules whose random numbers are secrets."""

NAMES = {
    "api.admission": "the name of a place",
    "api.idempotency": "a job's id, which stands in every line about it",
    "api.request_log": "a request's id",
    "api.resumable": "the name of a holder",
    "api.webhook_acts": "an endpoint's or message's id",
    "shared.traces": "a trace's id",
}
"""Modules whose random numbers are names, which logs may tell, and what they name."""

FILE_NAME = "a file's name"
SHORTEST = 8
"""Characters. Shorter ones would be found everywhere."""
_SHORTEST_MINTED_BYTES = 12  # below are names: the ids of API keys and of S3's
_TELLING = re.compile(r"password|secret|token|_key$", re.IGNORECASE)
_OURS = ("KAMMERTON_", "AWS_", "WEED_")
_LONGEST_BODY = 64 * 1024
_FORM_FILE = re.compile(rb'filename="([^"\r\n]+)"')
_FORM_FIELD = re.compile(rb'name="(\w+)"\r\n\r\n([^\r\n]+)\r\n')

_seen: set[tuple[str, str]] = set()


def keep(secret: str, what: str) -> None:
    """Write down one secret and where it came from."""
    folder = os.environ.get(FOLDER)
    if not folder or len(secret) < SHORTEST or len(set(secret)) < 4 or (secret, what) in _seen:
        return
    _seen.add((secret, what))
    where = f"process {os.getpid()} ({' '.join(sys.orig_argv[1:5])})"
    test = os.environ.get("PYTEST_CURRENT_TEST", "no test")
    line = json.dumps({"secret": secret, "what": what, "where": f"{where}, {test}"}) + "\n"
    path = os.path.join(folder, "secrets", f"{os.getpid()}.jsonl")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line.encode("utf-8", "backslashreplace"))
    finally:
        os.close(descriptor)


def install() -> None:
    """Watch this process."""
    if getattr(secrets.token_hex, "__wrapped__", None) is not None:
        return
    for name in ("token_hex", "token_bytes", "token_urlsafe"):
        setattr(secrets, name, _watched(getattr(secrets, name)))
    sys.meta_path.insert(0, _AfterImport())
    of_environment(os.environ)


def of_environment(environ: Mapping[str, str]) -> None:
    """What our processes are handed by their variables."""
    for name, value in environ.items():
        if name.startswith(_OURS):
            of_field(name, value, f"the variable {name}")


def of_field(name: str, value: object, what: str) -> None:
    """A value under a name, at any depth; of an address its password and its parameters."""
    if isinstance(value, dict):
        for key, inner in value.items():
            of_field(str(key), inner, what)
    elif isinstance(value, list):
        for inner in value:
            of_field(name, inner, what)
    elif isinstance(value, str):
        if name == "filename":
            keep(value, FILE_NAME)
        elif "://" in value:
            of_address(value, f"{what}, in an address")
        elif _TELLING.search(name):
            keep(value, what)


def of_address(url: str, what: str) -> None:
    """The password and the parameters of an address."""
    try:
        parts = urlsplit(url)
        pair = parts.netloc.rpartition("@")[0]
    except ValueError:
        return
    for secret in {pair.partition(":")[2], unquote(pair.partition(":")[2])}:
        keep(secret, what)
    if parts.scheme in {"http", "https"}:
        for _, value in parse_qsl(parts.query):
            keep(value, what)


def _watched(make: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(make)
    def made(nbytes: int | None = None) -> Any:
        value = make(nbytes)
        what = MINTS.get(sys._getframe(1).f_globals.get("__name__", ""))
        if what is not None and nbytes is not None and nbytes >= _SHORTEST_MINTED_BYTES:
            for form in _written(value):
                keep(form, what)
        return value

    return made


def _written(value: str | bytes) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        return
    yield value.hex()
    yield base64.b64encode(value).decode().rstrip("=")
    yield base64.urlsafe_b64encode(value).decode().rstrip("=")


class _AfterImport(importlib.abc.MetaPathFinder):
    """Wraps functions of ours as soon as their module exists, before anybody can take them from it."""

    def find_spec(self, name: str, path: Any, _: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name not in _WRAPPERS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            _WRAPPERS[name](module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _requests(module: Any) -> None:
    if MADE_UP in os.environ:
        return
    serve = module.RequestLog.__call__

    async def watched(self: Any, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await serve(self, scope, receive, send)  # type: ignore[no-any-return]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        _of_headers(headers)
        for name, value in parse_qsl(scope["query_string"].decode("latin-1")):
            of_field(name, value, "a parameter of a request")
        await serve(self, scope, _reading(receive, headers.get("content-type", "")), _sending(send))

    module.RequestLog.__call__ = watched


def _of_headers(headers: Mapping[str, str]) -> None:
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    keep(credentials or scheme, "an Authorization header")
    if scheme.lower() == "basic":
        keep(_unpacked(credentials).partition(":")[2], "an Authorization header")
    for cookie in headers.get("cookie", "").split(";"):
        keep(cookie.partition("=")[2].strip(), "a cookie")
    keep(headers.get("idempotency-key", ""), "an Idempotency-Key")
    for entry in headers.get("upload-metadata", "").split(","):
        name, _, value = entry.strip().partition(" ")
        of_field(name, _unpacked(value), "a tus header")


def _unpacked(text: str) -> str:
    try:
        return base64.b64decode(text).decode()
    except (binascii.Error, ValueError):
        return ""


def _reading(receive: Callable[[], Awaitable[Any]], media_type: str) -> Callable[[], Awaitable[Any]]:
    first = True

    async def watched() -> Any:
        nonlocal first
        message = await receive()
        if first and message["type"] == "http.request":
            first = False
            _of_body(message.get("body", b"")[:_LONGEST_BODY], media_type)
        return message

    return watched


def _of_body(body: bytes, media_type: str) -> None:
    what = "a field of a request"
    if "json" in media_type:
        try:
            of_field("", json.loads(body), what)
        except (ValueError, RecursionError):
            return
    elif "urlencoded" in media_type:
        for name, value in parse_qsl(body.decode("latin-1")):
            of_field(name, value, what)
    elif "multipart" in media_type:
        for name in _FORM_FILE.findall(body):
            keep(name.decode("utf-8", "replace"), FILE_NAME)
        for field, value in _FORM_FIELD.findall(body):
            of_field(field.decode("latin-1"), value.decode("utf-8", "replace"), what)


def _sending(send: Callable[[Any], Awaitable[None]]) -> Callable[[MutableMapping[str, Any]], Awaitable[None]]:
    async def watched(message: MutableMapping[str, Any]) -> None:
        for name, value in message.get("headers", ()):
            if bytes(name).lower() == b"set-cookie":
                keep(value.decode("latin-1").partition("=")[2].partition(";")[0], "a cookie")
        await send(message)

    return watched


def _presigned(module: Any) -> None:
    offer = module.S3DirectStore.offer

    def watched(*args: Any, **kwargs: Any) -> Any:
        made = offer(*args, **kwargs)
        for request in made.requests:
            signed = dict(parse_qsl(urlsplit(request.url).query))
            keep(signed.get("X-Amz-Signature", ""), "a presigned address")
        if made.form is not None:
            keep(made.form.fields.get("x-amz-signature", ""), "a presigned form")
        return made

    module.S3DirectStore.offer = watched


def _signatures(module: Any) -> None:
    sign = module.signature

    def watched(*args: Any, secrets: Any, **kwargs: Any) -> str:
        given = list(secrets)
        for secret in given:
            keep(secret.removeprefix(module.SECRET_PREFIX).rstrip("="), "a webhook's secret")
        made: str = sign(*args, secrets=given, **kwargs)
        for one in made.split():
            keep(one.partition(",")[2].rstrip("="), "a webhook's signature")
        return made

    module.signature = watched


def _redis(module: Any) -> None:
    connect = module.connect_redis

    def watched(url: str, **options: Any) -> Any:
        of_address(url, "an address of Redis")
        return connect(url, **options)

    module.connect_redis = watched


def _proxies(module: Any) -> None:
    start = module.Outbound.__init__

    def watched(self: Any, *args: Any, proxy: str | None = None, **kwargs: Any) -> None:
        of_address(proxy or "", "an egress proxy")
        start(self, *args, proxy=proxy, **kwargs)

    module.Outbound.__init__ = watched


_WRAPPERS: dict[str, Callable[[Any], None]] = {
    "api.request_log": _requests,
    "shared.s3_direct": _presigned,
    "shared.webhook": _signatures,
    "shared.redis_client": _redis,
    "shared.outbound_http": _proxies,
}

if __name__ == "sitecustomize" and FOLDER in os.environ:
    install()

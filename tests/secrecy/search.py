"""Finds known secrets in logs: as they are, and as addresses, JSON and base64 write them."""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

import numpy as np
import numpy.typing as npt

from tests.secrecy.sitecustomize import FILE_NAME, MINTS, SHORTEST

ALLOWED = {
    rb"the password of the dashboard's operator is ": "made because none was set, and told this once",
    rb"try: curl -F file=@song\.mp3 ": "the launcher's advice, which names no client's file",
}
"""What is said on purpose, and why."""

_CHUNK = 8 * 1024 * 1024
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_TABLE_BITS = 22
_PIECE = 16
"""Of a long random secret its beginning or its end is enough to be found: it may be cut."""


@dataclass(frozen=True, slots=True)
class Secret:
    """What must be in no log, and where it came from."""

    text: str
    what: str
    where: str


@dataclass(frozen=True, slots=True)
class Found:
    """A secret in a log. The line is shown without it."""

    log: Path
    line_number: int
    line: str
    secret: Secret

    def __str__(self) -> str:
        return f"{self.log}:{self.line_number}: {self.secret.what}, from {self.secret.where}\n    {self.line}"


def read_secrets(folder: Path) -> list[Secret]:
    """Everything that the processes of a run wrote down."""
    known: dict[tuple[str, str], Secret] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            fields = json.loads(line)
            secret = Secret(fields["secret"], fields["what"], fields["where"])
            known.setdefault((secret.text, secret.what), secret)
    return list(known.values())


def forms(secret: Secret) -> set[bytes]:
    """The ways to write it."""
    raw = secret.text.encode("utf-8", "replace")
    ways = {raw, quote(secret.text).encode(), quote(secret.text, safe="").encode()}
    ways.add(quote_plus(secret.text).encode())
    ways |= {json.dumps(secret.text, ensure_ascii=ascii)[1:-1].encode() for ascii in (True, False)}
    if secret.what in MINTS.values() and len(raw) >= 2 * _PIECE:
        ways |= {raw[:_PIECE], raw[-_PIECE:]}
    if secret.what != FILE_NAME:
        ways |= set(_in_base64(raw))
    return {way for way in ways if len(way) >= SHORTEST}


def _in_base64(raw: bytes) -> Iterator[bytes]:
    """What is the same in the base64 of any text that holds it, such as `user:password`."""
    for lead, dropped in ((0, 0), (1, 2), (2, 3)):
        whole = base64.b64encode(bytes(lead) + raw)[dropped : (lead + len(raw)) // 3 * 4]
        yield whole
        yield whole.replace(b"+", b"-").replace(b"/", b"_")


class Search:
    """Looks for many texts at once: by a table of their first eight bytes, then byte for byte."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        self._of: dict[int, list[tuple[bytes, Secret]]] = {}
        for secret in secrets:
            for form in forms(secret):
                self._of.setdefault(int.from_bytes(form[:8], "little"), []).append((form, secret))
        self._keys = np.array(sorted(self._of), dtype=np.uint64)
        self._table = np.zeros(1 << _TABLE_BITS, dtype=bool)
        self._table[_slots(self._keys)] = True

    def log(self, path: Path) -> list[Found]:
        """Each line of a log that has a secret, once."""
        found: dict[int, Found] = {}
        data = path.read_bytes()
        for at, secret in self._positions(data):
            number = data.count(b"\n", 0, at) + 1
            start, end = data.rfind(b"\n", 0, at) + 1, data.find(b"\n", at)
            line = data[start : end if end >= 0 else len(data)]
            if number not in found and not any(re.search(allowed, line) for allowed in ALLOWED):
                for whole in sorted(forms(secret), key=len, reverse=True):
                    line = line.replace(whole, b"<HERE>")
                found[number] = Found(path, number, line.decode("utf-8", "replace")[:1000], secret)
        return list(found.values())

    def _positions(self, data: bytes) -> Iterator[tuple[int, Secret]]:
        if not self._keys.size:
            return
        for start in range(0, len(data), _CHUNK):
            chunk = data[start : start + _CHUNK + 7]
            for shift in range(min(8, len(chunk) - 7)):
                words = np.frombuffer(chunk, "<u8", count=(len(chunk) - shift) // 8, offset=shift)
                places = np.flatnonzero(self._table[_slots(words)])
                hits = words[places]
                nearest = np.searchsorted(self._keys, hits)
                right = self._keys[np.minimum(nearest, self._keys.size - 1)] == hits
                for place, word in zip(places[right], hits[right], strict=True):
                    at = start + int(place) * 8 + shift
                    for form, secret in self._of[int(word)]:
                        if data.startswith(form, at):
                            yield at, secret


def _slots(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        return (words * _MULTIPLIER) >> np.uint64(64 - _TABLE_BITS)

"""The form reader: what is allowed before the first boundary, however the bytes are cut."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from api.uploads.receiving.multipart import FormReader
from shared.errors import BadRequest

PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n--b--\r\n'


def read(body: bytes, size: int) -> bytes:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    async def collect() -> bytes:
        form = FormReader(b"b", chunks())
        await form.reach_file()
        return b"".join([data async for data in form.file_chunks()])

    return asyncio.run(collect())


@pytest.mark.parametrize(
    "preamble",
    [
        b"",
        b"\r\n",
        b"This is a message in MIME format.\r\n",
        b"x--b\r\n--\r\n",
        b"\r\n\r\n",
        bytes(16_000) + b"\r\n",
    ],
    ids=["none", "an empty line", "a sentence", "almost a boundary", "two lines", "16 kB"],
)
@pytest.mark.parametrize("size", [1, 3, 7, 1000, 100_000])
def test_a_preamble_is_skipped(preamble: bytes, size: int) -> None:
    assert read(preamble + PART, size) == b"RIFF"


@pytest.mark.parametrize("size", [1, 1000, 1_000_000])
def test_a_body_without_the_boundary_is_refused_before_it_is_read(size: int) -> None:
    with pytest.raises(BadRequest, match="boundary"):
        read(bytes(17_000) + b"--c\r\n" + bytes(200_000), size)

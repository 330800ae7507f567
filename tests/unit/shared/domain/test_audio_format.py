import numpy as np
import pytest

from shared.domain.audio_format import SNIFF_BYTES, describe_content, looks_like_audio

MP3_FRAME = b"\xff\xfb\x90\x64" + bytes(413)
ADTS_FRAME = b"\xff\xf1\x50\x80\x0d\x1f\xfc" + bytes(97)

SOUND = {
    "wav": b"RIFF\x00\x00\x00\x00WAVEfmt ",
    "avi": b"RIFF\x00\x00\x00\x00AVI LIST",
    "wave64": b"riff\x2e\x91\xcf\x11",
    "m4a": b"\x00\x00\x00\x20ftypM4A \x00\x00\x00\x00",
    "old quicktime": b"\x00\x00\x10\x00moov",
    "flac": b"fLaC\x00\x00\x00\x22",
    "mp3 with tag": b"ID3\x04\x00",
    "mp3": MP3_FRAME * 3,
    "mp3 after zeros": bytes(700) + MP3_FRAME * 3,
    "mp3 of one frame": MP3_FRAME,
    "aac": ADTS_FRAME * 3,
    "transport stream": (b"G" + bytes(187)) * 4,
    "camera's transport stream": (bytes(4) + b"G" + bytes(187)) * 4,
}
ELSE = {
    "pdf": (b"%PDF-1.7\n", "PDF"),
    "zip": (b"PK\x03\x04\x14\x00", "ZIP"),
    "jpeg": (b"\xff\xd8\xff\xe0\x00\x10JFIF", "JPEG"),
    "html": (b"  <!doctype html>", "web page"),
    "webp": (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "picture"),
    "photo of a phone": (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "picture"),
    "text": (b"Was ist das?", "text"),
    "zeros": (bytes(5000), "unknown format"),
    "one byte": (b"\xff", "unknown format"),
    "utf-16 text": ("\ufeffGuten Tag".encode("utf-16"), "unknown format"),
    "midi": (b"MThd\x00\x00", "MIDI"),
}


@pytest.mark.parametrize("kind", SOUND)
def test_audio_is_accepted(kind: str) -> None:
    assert looks_like_audio(SOUND[kind])


@pytest.mark.parametrize("kind", ELSE)
def test_other_formats_are_named(kind: str) -> None:
    head, words = ELSE[kind]
    assert not looks_like_audio(head)
    assert words in describe_content(head)


def test_random_bytes_are_rarely_taken_for_audio() -> None:
    random = np.random.default_rng(3)
    taken = sum(looks_like_audio(random.bytes(SNIFF_BYTES)) for _ in range(500))
    assert taken < 5

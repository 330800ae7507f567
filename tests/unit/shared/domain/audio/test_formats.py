import numpy as np
import pytest

from shared.domain.audio.formats import SNIFF_BYTES, looks_like_audio
from shared.domain.audio.refused import describe_content, refusal

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
    "a few zeros": (bytes(500), "unknown format"),
    "svg after spaces": (b"  <svg>", "web page"),
    "iff picture": (b"FORM\0\0\0\0ILBM", "picture"),
    "audible": (b"\0\0\0\x20ftypaax \0\0\0\0", "Audible book"),
    "old audible": (b"\0\1\2\3\x57\x90\x75\x36", "Audible book"),
    "silk": (b"\x02#!SILK_V3", "SILK"),
    "adif": (b"ADIF\0\0", "ADIF"),
    "optimfrog": (b"OFR \0", "OptimFROG"),
    "tracker module": (b"Extended Module: a song", "tracker module"),
    "audacity": (b"SQLite format 3\0\x10\0", "Audacity"),
    "several channels of amr": (b"#!AMR_MC1.0\n", "AMR with several channels"),
    "mpeg video": (b"\0\0\1\xb3" + bytes(100), "video without sound"),
    "qcp": (b"RIFF\0\0\0\0QLCM", "QCP"),
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


@pytest.mark.parametrize("kind", ELSE)
def test_a_refusal_says_what_to_do(kind: str) -> None:
    what, advice = refusal(ELSE[kind][0]).split(". ", 1)
    assert what.startswith("This looks like ")
    assert advice.startswith(("Upload ", "Convert ", "Export ", "Unpack "))
    assert advice.endswith(".")


@pytest.mark.parametrize("packet", [188, 192, 204])
@pytest.mark.parametrize("cut", [0, 50])
def test_a_transport_stream_is_recognized_from_within_a_packet(packet: int, cut: int) -> None:
    stream = (bytes(4) if packet == 192 else b"") + (b"G" + bytes(packet - 1)) * 7
    assert looks_like_audio(stream[cut:])


def test_most_downloads_that_begin_with_zeros_are_accepted() -> None:
    assert looks_like_audio(bytes(SNIFF_BYTES))
    assert looks_like_audio(bytes(3000) + b"ID3\x04\0")
    assert looks_like_audio(bytes(SNIFF_BYTES - 10) + MP3_FRAME[:10])
    assert not looks_like_audio(bytes(3000) + b"%PDF")

"""Which files are rejected by their first bytes, and which are not."""

import io
import struct

import pytest

from shared.errors import TooComplex, Undecodable
from tests.support import hostile_files as hostile
from tests.support.audio_files import KINDS, audio_file, id3_tag
from worker.decoding.header_limits import MAX_BOXES, MAX_METADATA_BYTES, MAX_TAGS, check_header_limits

REJECTED_EARLY = [
    "flac-tags",
    "ogg-tags",
    "opus-tags",
    "id3-tags",
    "mp4-tags",
    "wav-tags",
    "mka-tags",
    "mp4-false-table",
    "mp4-false-count",
    "compressed-moov",
    "compressed-id3",
]


class CountingBytes(io.BytesIO):
    """Counts what is read of it."""

    bytes_read = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.bytes_read += len(data)
        return data


@pytest.mark.parametrize("kind", KINDS)
def test_a_real_file_passes(kind: str) -> None:
    check_header_limits(io.BytesIO(audio_file(kind)))


@pytest.mark.parametrize("kind", REJECTED_EARLY)
def test_a_file_is_rejected_by_its_declared_sizes(kind: str) -> None:
    with pytest.raises(TooComplex):
        check_header_limits(io.BytesIO(hostile.hostile_file(kind)))


@pytest.mark.parametrize("kind", KINDS)
def test_checking_a_header_reads_little(kind: str) -> None:
    file = CountingBytes(audio_file(kind))
    check_header_limits(file)
    assert file.bytes_read <= 16_384


@pytest.mark.parametrize(
    "make",
    [
        hostile.flac_with_tags,
        hostile.ogg_with_tags,
        hostile.opus_with_tags,
        hostile.mp3_with_tags,
        hostile.wav_with_tags,
    ],
)
def test_the_number_of_tags_is_limited(make: hostile.TagMaker) -> None:
    check_header_limits(io.BytesIO(make(MAX_TAGS - 10)))
    with pytest.raises(TooComplex):
        check_header_limits(io.BytesIO(make(MAX_TAGS + 1)))


def test_the_number_of_boxes_in_an_mp4_index_is_limited() -> None:
    check_header_limits(io.BytesIO(hostile.mp4_with_tags(MAX_BOXES - 100)))
    with pytest.raises(TooComplex):
        check_header_limits(io.BytesIO(hostile.mp4_with_tags(MAX_BOXES)))


def test_a_matroska_file_may_have_very_many_tags() -> None:
    check_header_limits(io.BytesIO(hostile.mka_with_tags(2_000)))


def test_a_flac_header_of_only_empty_blocks_is_rejected() -> None:
    with pytest.raises(TooComplex):
        check_header_limits(io.BytesIO(audio_file("flac")[:42] + b"\x01\0\0\0" * 100_000))


@pytest.mark.parametrize("version", [2, 3, 4])
def test_the_frames_of_each_version_of_id3_are_counted(version: int) -> None:
    names, size, flags = (b"TXX", 3, b"") if version == 2 else (b"TXXX", 4, b"\0\0")
    frame = names + (2).to_bytes(size) + flags + b"\0x"

    def tag(count: int) -> bytes:
        body = frame * count
        length = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
        return b"ID3" + bytes([version, 0, 0]) + length + body

    check_header_limits(io.BytesIO(tag(MAX_TAGS) + audio_file("mp3-cbr")))
    with pytest.raises(TooComplex):
        check_header_limits(io.BytesIO(tag(MAX_TAGS + 1) + audio_file("mp3-cbr")))


def test_an_id3_tag_with_a_large_picture_passes() -> None:
    check_header_limits(io.BytesIO(id3_tag([(b"APIC", bytes(10 << 20))]) + audio_file("mp3-cbr")))


def test_an_id3_tag_above_the_limit_is_rejected() -> None:
    head = b"ID3\x04\0\0" + bytes((MAX_METADATA_BYTES + 1) >> shift & 0x7F for shift in (21, 14, 7, 0))
    with pytest.raises(TooComplex):
        check_header_limits(io.BytesIO(head + audio_file("mp3-cbr")))


def test_tags_are_counted_in_what_follows_an_id3_tag() -> None:
    with pytest.raises(TooComplex):
        check_header_limits(io.BytesIO(id3_tag([(b"TIT2", b"\0x")]) + hostile.hostile_file("flac-tags")))


def test_an_mp4_index_above_the_limit_is_rejected() -> None:
    moov = struct.pack(">I4s", MAX_METADATA_BYTES + 100, b"moov")
    with pytest.raises(TooComplex):
        check_header_limits(io.BytesIO(moov + bytes(MAX_METADATA_BYTES + 200)))


def test_checking_a_fragmented_file_reads_only_its_index() -> None:
    plain = audio_file("mp4-fragmented")
    pieces = hostile.box(b"moof", b"") + hostile.box(b"mdat", bytes(1000))
    file = CountingBytes(plain + pieces * 20_000)
    check_header_limits(file)
    assert file.bytes_read <= 16_384


def matroska_tracks(*tracks: bytes) -> bytes:
    """Return the head of a Matroska file with *tracks*, each the body of a TrackEntry."""

    def element(name: bytes, body: bytes) -> bytes:
        return name + (1 << 56 | len(body)).to_bytes(8) + body

    entries = b"".join(element(b"\xae", track) for track in tracks)
    return element(b"\x1aE\xdf\xa3", b"") + element(b"\x18S\x80g", element(b"\x16T\xaek", entries))


SOUND, PICTURE = b"\x83\x81\x02", b"\x83\x81\x01"
ENCRYPTED = b"m\x80\x86b@\x83P5\x80"
COMPRESSED = b"m\x80\x86b@\x83P4\x80"


def test_encrypted_sound_in_matroska_is_refused() -> None:
    for tracks in ([SOUND + ENCRYPTED], [PICTURE, ENCRYPTED + SOUND], [SOUND + ENCRYPTED] * 2):
        with pytest.raises(Undecodable, match="encrypted"):
            check_header_limits(io.BytesIO(matroska_tracks(*tracks)))


def test_sound_beside_something_encrypted_is_left_to_the_decoder() -> None:
    for tracks in (
        [SOUND],
        [SOUND + COMPRESSED],
        [PICTURE + ENCRYPTED, SOUND],
        [SOUND, SOUND + ENCRYPTED],
        [SOUND + ENCRYPTED[:3]],
    ):
        check_header_limits(io.BytesIO(matroska_tracks(*tracks)))


@pytest.mark.parametrize(
    "start", [b"", b"\xff", b"fLaC", b"OggS", b"ID3", b"RIFF\0\0\0\0WAVE", b"\0\0\0\x08moov"]
)
def test_a_truncated_header_is_left_to_the_decoder(start: bytes) -> None:
    check_header_limits(io.BytesIO(start))


@pytest.mark.parametrize("kind", [kind for kind in hostile.KINDS if kind not in REJECTED_EARLY])
def test_files_with_normal_headers_are_left_to_the_decoder(kind: str) -> None:
    check_header_limits(io.BytesIO(hostile.hostile_file(kind)))

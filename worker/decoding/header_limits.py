"""Rejects files early whose headers declare more tags or metadata than a decoder can take.

Reads little and looks only at declared sizes and counts. The limits of the sandbox stop files that lie.
"""

import os
import struct
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import BinaryIO

from worker.decoding.seeking.mp4_boxes import boxes
from worker.file_problems import file_problem

# Decoders need quadratic time for tags: minutes to hours for 100,000, milliseconds for 2,000.
MAX_TAGS = 2_000
MAX_METADATA_BYTES = 32 << 20
"""In a leading ID3v2 tag, a FLAC header or an MP4 index, pictures included."""
MAX_BOXES = 10_000
"""In an MP4 index, tags included. A video with many tracks has some hundreds."""
MAX_MATROSKA_TAGS_BYTES = 256 << 10
"""A tag needs at least 25 bytes. Real files have some kilobytes of tags."""
MAX_INDEX_ENTRIES = 2_000_000
"""Samples in an MP4 index, if that is more than the file has bytes. Twelve hours of AAC have 2,000,000."""

_OGG_COMMENTS = (b"\x03vorbis", b"OpusTags", b"\x81kate", b"\x81theora")
_OGG_SEARCH_BYTES = 8192
_EBML, _SEGMENT, _CLUSTER, _TAGS = b"\x1aE\xdf\xa3", b"\x18S\x80g", b"\x1fC\xb6u", b"\x12T\xc3g"
_TRACKS, _TRACK, _TRACK_TYPE, _AUDIO_TRACK = b"\x16T\xaek", b"\xae", b"\x83", b"\x02"
_CONTENT_ENCODINGS, _CONTENT_ENCRYPTION = b"m\x80", b"P5"
_MAX_MATROSKA_TRACKS_BYTES = 256 << 10
_BOXES_BEFORE_INDEX = 100
_LARGE_TAGS_BYTES = 1 << 16
_ASF = b"0&\xb2u\x8ef\xcf\x11"
_ASF_SEARCH_BYTES = 16_000
_ASF_ENCRYPTION = (
    bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e"),  # Content Encryption Object
    bytes.fromhex("14e68a292226174cb935dae07ee9289c"),  # Extended Content Encryption Object
)
_MP4_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
_MP4_CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"meta", b"ilst")
_FLAC_COMMENTS = 4
_ID3_COMPRESSED = 0x80, 0x08  # the bit in a frame's second flag byte, of ID3v2.3 and of ID3v2.4


def check_header_limits(audio: BinaryIO, *, on_pictures: Callable[[int], None] = lambda _: None) -> int:
    """Raise TooComplex if *audio* declares more tags, metadata or index entries than a recording has.

    Returns the offset in bytes of what follows the leading ID3v2 tags. Calls *on_pictures* with the offset of
    the name of an MP4 box that holds only tags and large pictures.
    """
    size = audio.seek(0, os.SEEK_END)
    offset = 0
    for tag, length in _leading_id3(audio):
        _check_id3(audio, tag, length)
        offset = tag + length
    start = _read(audio, offset, 12)
    if start.startswith(b"fLaC"):
        _check_flac(audio, offset + 4)
    elif start.startswith(b"OggS"):
        _check_ogg(audio, offset)
    elif start[:4] in (b"RIFF", b"RF64") and start[8:] == b"WAVE":
        _check_wav(audio, size)
    elif start.startswith(_EBML):
        _check_matroska(audio, offset, size)
    elif start.startswith(_ASF):
        header = _read(audio, 0, _ASF_SEARCH_BYTES)
        if any(mark in header for mark in _ASF_ENCRYPTION):
            raise file_problem("encrypted")
    elif start[4:8] in _MP4_FIRST_BOXES:
        _check_mp4(audio, size, on_pictures)
    return offset


def leading_tags_end(audio: BinaryIO) -> int:
    """Return the offset in bytes of what follows the leading ID3v2 tags."""
    return max((offset + length for offset, length in _leading_id3(audio)), default=0)


def _leading_id3(audio: BinaryIO) -> Iterator[tuple[int, int]]:
    """Yield the offset and the length in bytes of each ID3v2 tag before the sound."""
    offset = 0
    for _ in range(MAX_TAGS):
        head = _read(audio, offset, 10)
        if not head.startswith(b"ID3"):
            return
        length = 10 + syncsafe(head[6:])
        yield offset, length
        offset += length


def _check_id3(audio: BinaryIO, offset: int, length: int) -> None:
    """Check the ID3v2 tag at *offset*, of *length* bytes."""
    version = _read(audio, offset, 4).ljust(4, b"\0")[3]
    if length > MAX_METADATA_BYTES:
        raise file_problem("too_much_metadata")
    id_bytes, size_bytes, header_bytes = (3, 3, 6) if version == 2 else (4, 4, 10)
    tags, position, decompressed_bytes = 0, offset + 10, 0
    while position + header_bytes <= offset + length:
        frame = _read(audio, position, header_bytes + 4)
        if len(frame) < header_bytes or frame[0] == 0:
            break
        declared = frame[id_bytes : id_bytes + size_bytes]
        position += header_bytes + (syncsafe(declared) if version == 4 else int.from_bytes(declared))
        tags += 1
        if version in (3, 4) and frame[9] & _ID3_COMPRESSED[version - 3]:
            decompressed_bytes += int.from_bytes(frame[10:14])
        _check_tags(tags)
        if decompressed_bytes > MAX_METADATA_BYTES:
            raise file_problem("too_much_metadata")


def _check_flac(audio: BinaryIO, offset: int) -> None:
    start = offset
    for count in range(MAX_TAGS + 2):
        block = _read(audio, offset, 4)
        if len(block) < 4:
            return
        _check_tags(count)
        if block[0] & 0x7F == _FLAC_COMMENTS:
            _check_vorbis_comment(audio, offset + 4)
        offset += 4 + int.from_bytes(block[1:])
        if offset - start > MAX_METADATA_BYTES:
            raise file_problem("too_much_metadata")
        if block[0] >= 0x80:  # the last block
            return


def _check_ogg(audio: BinaryIO, offset: int) -> None:
    start = _read(audio, offset, _OGG_SEARCH_BYTES)
    for mark in _OGG_COMMENTS:
        found = start.find(mark)
        if found >= 0:
            _check_vorbis_comment(audio, offset + found + len(mark))


def _check_vorbis_comment(audio: BinaryIO, offset: int) -> None:
    vendor_bytes = int.from_bytes(_read(audio, offset, 4), "little")
    if vendor_bytes > MAX_METADATA_BYTES:
        raise file_problem("too_much_metadata")
    _check_tags(int.from_bytes(_read(audio, offset + 4 + vendor_bytes, 4), "little"))


def _check_wav(audio: BinaryIO, size: int) -> None:
    """Count chunks and INFO entries before the samples, LIST headers included."""
    count, offset, list_end = 0, 12, 12
    while offset < size:
        name, length = struct.unpack("<4sI", _read(audio, offset, 8).ljust(8, b"\0"))
        if name == b"data":
            return
        if name == b"\0\0\0\0" and offset < list_end:  # field recorders reserve space with zeros
            offset = list_end
            continue
        is_list = name == b"LIST"
        if is_list:
            list_end = offset + 8 + length + length % 2
        offset += 12 if is_list else 8 + length + length % 2
        count += 1
        _check_tags(count)


def _check_matroska(audio: BinaryIO, offset: int, size: int) -> None:
    """Check the size of tags before the audio."""
    for _ in range(_BOXES_BEFORE_INDEX):
        name, length, header_bytes = _ebml_element(_read(audio, offset, 12))
        if header_bytes == 0 or name == _CLUSTER or offset >= size:
            return
        if name == _TAGS and length > MAX_MATROSKA_TAGS_BYTES:
            raise file_problem("too_many_tags")
        if name == _TRACKS and _is_sound_encrypted(
            _read(audio, offset + header_bytes, min(length, _MAX_MATROSKA_TRACKS_BYTES))
        ):
            raise file_problem("encrypted")
        offset += header_bytes + (0 if name == _SEGMENT else length)


def _is_sound_encrypted(tracks: bytes) -> bool:
    """Whether every audio track of a Matroska file has a ContentEncryption element."""
    encrypted = [
        b"".join(body for name, body in track if name == _CONTENT_ENCODINGS).find(_CONTENT_ENCRYPTION) >= 0
        for track in (list(_ebml_elements(body)) for name, body in _ebml_elements(tracks) if name == _TRACK)
        if (_TRACK_TYPE, _AUDIO_TRACK) in track
    ]
    return bool(encrypted) and all(encrypted)


def _ebml_elements(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the ids and bodies of the elements in *data*."""
    offset = 0
    while offset < len(data):
        name, length, header_bytes = _ebml_element(data[offset : offset + 12])
        if header_bytes == 0:
            return
        offset += header_bytes
        yield name, data[offset : offset + length]
        offset += length


def _ebml_element(head: bytes) -> tuple[bytes, int, int]:
    """Return an element's id, body length and header length, or empty values if there is no element."""
    name_bytes = 9 - head[0].bit_length() if head else 9
    rest = head[name_bytes:]
    length_bytes = 9 - rest[0].bit_length() if rest else 9
    if name_bytes > 4 or len(rest) < length_bytes:
        return b"", 0, 0
    length = int.from_bytes(rest[:length_bytes]) & (1 << 7 * length_bytes) - 1
    return head[:name_bytes], length, name_bytes + length_bytes


def _check_mp4(audio: BinaryIO, size: int, on_pictures: Callable[[int], None]) -> None:
    # A fragmented file has thousands of boxes after its index, and each costs a read from storage.
    last_end = 0
    for name, start, end in islice(boxes(partial(_read, audio), 0, size), _BOXES_BEFORE_INDEX):
        if name == b"moov":
            if end - start > MAX_METADATA_BYTES or _read(audio, start, 8)[4:] == b"cmov":
                raise file_problem("too_much_metadata")
            _check_moov(audio, start, end, on_pictures)
            return
        last_end = end
    if last_end >= size:
        raise file_problem("no_index")


def _check_moov(audio: BinaryIO, start: int, end: int, on_pictures: Callable[[int], None]) -> None:
    size = audio.seek(0, os.SEEK_END)
    pending, count = [(start, end)], 0
    while pending:
        for name, inside, after in boxes(partial(_read, audio), *pending.pop()):
            count += 1
            if count > MAX_BOXES:
                raise file_problem("too_many_tags")
            if name == b"udta" and after - inside > _LARGE_TAGS_BYTES and _read(audio, inside - 4, 4) == name:
                on_pictures(inside - 4)
            if name in _MP4_CONTAINERS:
                # `meta` has 4 bytes of version first in MP4, none in QuickTime.
                is_full_box = name == b"meta" and _read(audio, inside, 4) == b"\0\0\0\0"
                pending.append((inside + 4 * is_full_box, after))
            elif name == b"stsd":
                if _read(audio, inside + 12, 4) in (b"drms", b"enca"):
                    raise file_problem("encrypted")
            elif name in (b"stsz", b"stz2"):
                entries = int.from_bytes(_read(audio, inside + 8, 4))
                if entries > max(MAX_INDEX_ENTRIES, size):
                    raise file_problem("false_index")


def _check_tags(count: int) -> None:
    if count > MAX_TAGS:
        raise file_problem("too_many_tags")


def syncsafe(number: bytes) -> int:
    """Read seven bits of each byte, most significant first."""
    value = 0
    for byte in number:
        value = value << 7 | byte & 0x7F
    return value


def _read(audio: BinaryIO, offset: int, size: int) -> bytes:
    audio.seek(offset)
    return audio.read(size)

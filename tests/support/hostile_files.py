"""Files that mean harm or mean nothing: each kind that was seen to hurt a decoder, made in memory.

All are small on disk (the largest a few megabytes), whatever they claim.
"""

import gzip
import struct
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np

from tests.support.audio_files import audio_file, id3_tag, soundfile_bytes, tone, wav

TagMaker = Callable[[int], bytes]

MANY = 100_000
"""Tags enough to keep an unguarded decoder busy for minutes."""


@cache
def hostile_file(kind: str) -> bytes:
    """Return a file of one of `KINDS`."""
    return _MAKERS[kind]()


# --- too many tags -----------------------------------------------------------------------------


def _vorbis_comment(count: int) -> bytes:
    tags = (b"TAG%d=x" % number for number in range(count))
    return (
        struct.pack("<I", 0)
        + struct.pack("<I", count)
        + b"".join(struct.pack("<I", len(tag)) + tag for tag in tags)
    )


def flac_with_tags(count: int) -> bytes:
    """Return a FLAC file with *count* comments right after its stream header."""
    plain = audio_file("flac")
    comment = _vorbis_comment(count)
    return plain[:42] + b"\x04" + len(comment).to_bytes(3) + comment + plain[42:]


def ogg_with_tags(count: int) -> bytes:
    """Return an Ogg Vorbis file with *count* comments."""
    (first, second, *others) = _ogg_packets_of_header(audio_file("ogg-vorbis"))
    comments = b"\x03vorbis" + _vorbis_comment(count) + b"\x01"
    assert second.startswith(b"\x03vorbis")
    serial = audio_file("ogg-vorbis")[14:18]
    return (
        b"".join(_ogg_pages([first], serial, first_page=0))
        + b"".join(_ogg_pages([comments, *others], serial, first_page=1))
        + _ogg_audio_pages(audio_file("ogg-vorbis"))
    )


def opus_with_tags(count: int) -> bytes:
    """Return an Ogg Opus file with *count* comments."""
    plain = audio_file("ogg-opus")
    (first, second) = _ogg_packets_of_header(plain)
    assert second.startswith(b"OpusTags")
    serial = plain[14:18]
    tags = b"OpusTags" + _vorbis_comment(count)
    head = _ogg_pages([first], serial, first_page=0) + _ogg_pages([tags], serial, first_page=1)
    return b"".join(head) + _ogg_audio_pages(plain)


def mp3_with_tags(count: int) -> bytes:
    """Return an MP3 file whose ID3v2 tag has *count* frames."""
    return id3_tag([(b"TXXX", b"\0%d\0x" % number) for number in range(count)]) + audio_file("mp3-vbr")


def mp4_with_tags(count: int) -> bytes:
    """Return an M4A file with *count* entries in its `ilst`."""
    data = box(b"data", struct.pack(">II", 1, 0) + b"x")
    mean = box(b"mean", bytes(4) + b"com.apple.iTunes")
    ilst = box(
        b"ilst",
        b"".join(box(b"----", mean + box(b"name", bytes(4) + b"%d" % n) + data) for n in range(count)),
    )
    handler = box(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    meta = box(b"meta", bytes(4) + handler + ilst)
    return with_moov(lambda moov: moov + box(b"udta", meta))


def mka_with_tags(count: int) -> bytes:
    """Return a Matroska file with *count* tags before its audio."""

    def element(name: bytes, body: bytes) -> bytes:
        return name + b"\x01" + len(body).to_bytes(7) + body

    plain = audio_file("mka")
    tags = (element(b"\x45\xa3", b"TAG%d" % n) + element(b"\x44\x87", b"x") for n in range(count))
    tag = element(b"\x73\x73", b"".join(element(b"\x67\xc8", tag) for tag in tags))
    facts = b"\x15\x49\xa9\x66"
    before = plain.index(facts, plain.index(facts) + 4)  # the first is an entry of the segment's own index
    return plain[:before] + element(b"\x12\x54\xc3\x67", tag) + plain[before:]


def wav_with_tags(count: int) -> bytes:
    """Return a WAV file with *count* INFO entries before its samples."""
    plain = wav()
    info = b"INFO" + b"".join(b"I%03X" % (n % 4096) + struct.pack("<I", 2) + b"x\0" for n in range(count))
    body = plain[8:36] + b"LIST" + struct.pack("<I", len(info)) + info + plain[36:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


# --- small on disk, large in memory --------------------------------------------------------------


def opus_with_channels(count: int) -> bytes:
    """Return sixty seconds of packets of silence, in *count* channels mapped to one coded stream."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, count, 0, 48_000, 0, 255) + bytes([1, 0]) + bytes(count)
    tags = b"OpusTags" + struct.pack("<II", 0, 0)
    packets = [b"\xfb\x06"] * 500  # each: six frames of 20 ms without data
    serial = b"\1\0\0\0"
    pages = _ogg_pages([head], serial, first_page=0) + _ogg_pages([tags], serial, first_page=1)
    pages += _ogg_pages(packets, serial, first_page=2, samples_each=5760)
    return b"".join(pages)


def _flac_655350_hz() -> bytes:
    """Eight channels of silence that last twenty seconds at the highest rate that FLAC can say."""
    silence = np.zeros((655_350 * 20, 8), np.float32)
    return soundfile_bytes(silence, rate=655_350, container="FLAC", codec="PCM_16")


def _mp4_with_sample_count(*, sample_bytes: int) -> bytes:
    """Make the sample table of an MP4 claim 50,000,000 samples."""
    file = bytearray(audio_file("m4a"))
    at = file.index(b"stsz")
    file[at + 8 : at + 16] = struct.pack(">II", sample_bytes, 50_000_000)
    at = file.index(b"stts")
    file[at + 12 : at + 20] = struct.pack(">II", 50_000_000, 1024)
    at = file.index(b"stsc")
    entries = int.from_bytes(file[at + 8 : at + 12])
    for entry in range(entries):
        file[at + 16 + 12 * entry : at + 20 + 12 * entry] = struct.pack(">I", 50_000_000)
    return bytes(file)


def _compressed_moov() -> bytes:
    packed = zlib.compress(bytes(190 << 20), 9)
    inner = box(b"dcom", b"zlib") + box(b"cmvd", struct.pack(">I", 190 << 20) + packed)
    return box(b"ftyp", b"qt  " + bytes(4) + b"qt  ") + box(b"moov", box(b"cmov", inner))


def _compressed_id3() -> bytes:
    packed = struct.pack(">I", 190 << 20) + zlib.compress(bytes(190 << 20), 9)
    tag = bytearray(id3_tag([(b"APIC", packed)]))
    tag[10 + 9] = 0x80
    return bytes(tag) + audio_file("mp3-vbr")


def _gzip_bomb() -> bytes:
    return gzip.compress(bytes(100 << 20), 9)


# --- nothing to decode, for a long time -----------------------------------------------------------


def _amr_no_data() -> bytes:
    return b"#!AMR\n" + b"\x7c" * 3_000_000


def _adts_noise() -> bytes:
    """AAC frame headers around bytes that are no AAC: a decode error in every packet."""
    frame = b"\xff\xf1\x50\x80\x01\x7f\xfc" + b"\xa5\xff\x00\x55"
    return frame * 60_000


# --- playlists and descriptions ---------------------------------------------------------------------


def hls(target: str) -> bytes:
    """Return an HLS playlist that names *target*."""
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n".encode()


def live_hls(target: str) -> bytes:
    """Return an HLS playlist without an end, which a player loads again and again."""
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{target}\n".encode()


def ffconcat(target: str) -> bytes:
    """Return a list for FFmpeg's concat reader that names *target*."""
    return f"ffconcat version 1.0\nfile '{target}'\n".encode()


def sdp(port: int) -> bytes:
    """Return a session description that asks the reader to take a stream from *port* of this machine."""
    return (
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    ).encode()


def m3u(target: str) -> bytes:
    """Return a plain playlist."""
    return f"{target}\n".encode()


def pls(target: str) -> bytes:
    """Return a playlist in the .pls format."""
    return f"[playlist]\nFile1={target}\nLength1=-1\nNumberOfEntries=1\n".encode()


def dash(target: str) -> bytes:
    """Return a DASH manifest that names *target*."""
    return (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"'
        ' mediaPresentationDuration="PT10S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period>'
        '<AdaptationSet mimeType="audio/mp4"><Representation id="a" bandwidth="1" codecs="mp4a.40.2">'
        f"<BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>"
    ).encode()


PLAYLISTS: dict[str, Callable[[str], bytes]] = {
    "hls": hls, "live-hls": live_hls, "ffconcat": ffconcat, "m3u": m3u, "pls": pls, "dash": dash,
}  # fmt: skip


# --- lies and oddities --------------------------------------------------------------------------------


def wav_claiming(data_bytes: int) -> bytes:
    """Return a second of WAV whose header gives *data_bytes* as the length of its samples."""
    plain = bytearray(wav())
    plain[40:44] = struct.pack("<I", data_bytes)
    plain[4:8] = struct.pack("<I", min(data_bytes + 36, 0xFFFFFFFF))
    return bytes(plain)


def rf64_claiming(data_bytes: int) -> bytes:
    """Return a second of RF64 whose `ds64` chunk declares *data_bytes* of samples."""
    plain = wav()
    sizes = struct.pack("<QQQI", data_bytes + 72, data_bytes, data_bytes // 4, 0)
    head = b"RF64\xff\xff\xff\xffWAVEds64" + struct.pack("<I", len(sizes)) + sizes
    return head + plain[12:40] + b"\xff\xff\xff\xff" + plain[44:]


def w64_claiming(data_bytes: int) -> bytes:
    """Return a second of Sony Wave64 whose header declares *data_bytes* of samples."""
    plain = bytearray(soundfile_bytes(tone(1.0), rate=44_100, container="W64", codec="PCM_16"))
    offset = plain.index(b"data") + 16
    plain[offset : offset + 8] = struct.pack("<Q", data_bytes)
    return bytes(plain)


def wav_of(value: float, *, every: int = 1) -> bytes:
    """Return a second of float WAV, each *every*-th sample of it *value*, the rest a tone."""
    samples = tone(1.0)
    samples[::every] = value
    return wav(samples, codec="FLOAT")


def wav_at(rate: int) -> bytes:
    """Return a WAV whose header gives *rate* as its sample rate, in Hz."""
    plain = bytearray(wav())
    plain[24:28] = struct.pack("<I", rate)
    return bytes(plain)


def chained_ogg() -> bytes:
    """Return a second at 44.1 kHz and a minute at 22.05 kHz, as one Ogg file of two logical streams."""
    second = soundfile_bytes(tone(60.0, rate=22_050), rate=22_050, container="OGG", codec="VORBIS")
    return audio_file("ogg-vorbis") + second


def mp3_changing_rate() -> bytes:
    """Return a second of MP3 in stereo at 44.1 kHz, then a minute in mono at 22.05 kHz."""
    second = soundfile_bytes(
        tone(60.0, rate=22_050, channels=1), rate=22_050, container="MP3", codec="MPEG_LAYER_III"
    )
    return audio_file("mp3-no-xing") + second


_MAKERS: dict[str, Callable[[], bytes]] = {
    "flac-tags": lambda: flac_with_tags(MANY),
    "ogg-tags": lambda: ogg_with_tags(MANY),
    "opus-tags": lambda: opus_with_tags(MANY),
    "id3-tags": lambda: mp3_with_tags(MANY),
    "mp4-tags": lambda: mp4_with_tags(MANY),
    "wav-tags": lambda: wav_with_tags(MANY),
    "mka-tags": lambda: mka_with_tags(MANY),
    "opus-255-channels": lambda: opus_with_channels(255),
    "flac-655350-hz": _flac_655350_hz,
    "mp4-false-table": lambda: _mp4_with_sample_count(sample_bytes=0),
    "mp4-false-count": lambda: _mp4_with_sample_count(sample_bytes=1),
    "compressed-moov": _compressed_moov,
    "compressed-id3": _compressed_id3,
    "gzip-bomb": _gzip_bomb,
    "amr-no-data": _amr_no_data,
    "adts-noise": _adts_noise,
    "wav-claims-hours": lambda: wav_claiming(0x7FFFFFF0),
    "wav-claims-endless": lambda: wav_claiming(0xFFFFFFFF),
    "rf64-claims-2^63": lambda: rf64_claiming((1 << 63) - 1),
    "w64-claims-2^63": lambda: w64_claiming((1 << 63) - 1),
    "wav-claims-nothing": lambda: wav_claiming(0),
    "wav-1-hz": lambda: wav_at(1),
    "wav-4-ghz": lambda: wav_at(4_000_000_000),
    "wav-nan": lambda: wav_of(float("nan")),
    "wav-inf": lambda: wav_of(float("inf")),
    "wav-1e30": lambda: wav_of(1e30),
    "wav-denormal": lambda: wav_of(1e-40),
    "wav-a-few-nan": lambda: wav_of(float("nan"), every=1000),
    "chained-ogg": chained_ogg,
    "mp3-changing-rate": mp3_changing_rate,
    "empty": lambda: b"",
    "two-bytes": lambda: b"\xff\xfb",
    "text": lambda: b"This is not a song. " * 200,
    "zeros": lambda: bytes(100_000),
    "wav-without-samples": lambda: wav(np.zeros((0, 2), np.float32)),
    "only-an-id3-tag": lambda: id3_tag([(b"TIT2", b"\0nothing")]),
}
KINDS = tuple(_MAKERS)


# --- pieces ---------------------------------------------------------------------------------------------


def box(name: bytes, body: bytes) -> bytes:
    """Return an MP4 box."""
    return struct.pack(">I", len(body) + 8) + name + body


def with_moov(change: Callable[[bytes], bytes]) -> bytes:
    """Return an M4A file, its index last, with the inside of its `moov` changed."""
    plain = audio_file("m4a")
    at = plain.rindex(b"moov") - 4
    length = int.from_bytes(plain[at : at + 4])
    return plain[:at] + box(b"moov", change(plain[at + 8 : at + length])) + plain[at + length :]


def _ogg_pages(packets: list[bytes], serial: bytes, *, first_page: int, samples_each: int = 0) -> list[bytes]:
    """Lay *packets* into pages of up to 255 segments."""
    segments = [
        (packet[start : start + 255], start + 255 > len(packet), number)
        for number, packet in enumerate(packets, start=1)
        for start in range(0, len(packet) + 1, 255)
    ]
    pages = []
    for index, start in enumerate(range(0, len(segments), 255)):
        part = segments[start : start + 255]
        finished = [number for _, is_last, number in part if is_last]
        granule = finished[-1] * samples_each if finished else -1
        kind = (2 if first_page + index == 0 else 0) | (1 if start and not segments[start - 1][1] else 0)
        head = b"OggS\0" + struct.pack("<Bq", kind, granule) + serial + struct.pack("<I", first_page + index)
        body = bytes([len(part)]) + bytes(len(s) for s, _, _ in part) + b"".join(s for s, _, _ in part)
        checksum = struct.pack("<I", _ogg_crc(head + bytes(4) + body))
        pages.append(head + checksum + body)
    return pages


def with_ogg_checksums(file: bytes) -> bytes:
    """Return *file* with the checksum of each Ogg page put right, so that a decoder reads on."""
    fixed = bytearray(file)
    at = fixed.find(b"OggS")
    while at >= 0 and at + 27 <= len(fixed):
        count = fixed[at + 26]
        end = at + 27 + count + sum(fixed[at + 27 : at + 27 + count])
        fixed[at + 22 : at + 26] = bytes(4)
        fixed[at + 22 : at + 26] = struct.pack("<I", _ogg_crc(bytes(fixed[at:end])))
        at = fixed.find(b"OggS", at + 27)
    return bytes(fixed)


def _ogg_split(file: bytes) -> list[bytes]:
    pages, at = [], 0
    while at < len(file):
        count = file[at + 26]
        end = at + 27 + count + sum(file[at + 27 : at + 27 + count])
        pages.append(file[at:end])
        at = end
    return pages


def _ogg_packets_of_header(file: bytes) -> list[bytes]:
    """Return the packets of the pages that come before any audio."""
    packets, current = [], b""
    for page in _ogg_split(file):
        if int.from_bytes(page[6:14], "little", signed=True) > 0:
            break
        at = 27 + page[26]
        for length in page[27 : 27 + page[26]]:
            current += page[at : at + length]
            at += length
            if length < 255:
                packets.append(current)
                current = b""
    return packets


def _ogg_audio_pages(file: bytes) -> bytes:
    """Return the pages of audio; their numbers no longer follow, which decoders forgive."""
    return b"".join(p for p in _ogg_split(file) if int.from_bytes(p[6:14], "little", signed=True) > 0)


def _ogg_crc(data: bytes) -> int:
    table = _crc_table()
    value = 0
    for byte in data:
        value = (value << 8 & 0xFFFFFFFF) ^ table[value >> 24 ^ byte]
    return value


@cache
def _crc_table() -> list[int]:
    table = []
    for number in range(256):
        value = number << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFFFFFF
        table.append(value)
    return table

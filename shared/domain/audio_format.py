"""Sniffs audio formats from the first bytes of a file. Pure.

It refuses only what is clearly something else, so that a client need not upload a picture first. The decoder
decides in the end.
"""

SNIFF_BYTES = 4096
"""How many bytes to sniff, if there are so many."""

_AT_START = (
    b"fLaC",
    b"OggS",
    b"ID3",
    b"RIFF",
    b"RIFX",
    b"RF64",
    b"BW64",
    b"riff\x2e\x91\xcf\x11",  # Sony Wave64
    b"FORM",
    b"caff",
    b".snd",
    b"dns.",
    b"\x1aE\xdf\xa3",  # Matroska, WebM
    b"0&\xb2u\x8ef\xcf\x11",  # ASF: WMA, WMV
    b"#!AMR",
    b"#!SILK",
    b"ADIF",
    b"\x0bw",  # AC-3
    b"\x77\x0b",
    b"\x7f\xfe\x80\x01",  # DTS
    b"\xfe\x7f\x01\x80",
    b"\x1f\xff\xe8\x00",
    b"wvpk",
    b"MAC ",
    b"TTA1",
    b"TTA2",
    b"tBaK",
    b"MPCK",
    b"MP+",
    b"DSD ",
    b"FRM8",
    b"APETAGEX",
    b"FLV\x01",
    b".RMF",
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"\x00\x00\x01\xb3",
    b"Creative Voice File\x1a",
    b"NIST_1A",
    b"\x64\xa3",  # IRCAM
    b"OFR ",
    b"LA0",
    b"SHN",
    b"ajkg",
    b"2BIT",
    b"TWIN",
)
_RIFF_WITHOUT_AUDIO = {b"WEBP", b"ACON", b"RMID", b"sfbk"}
_MP4_WITHOUT_AUDIO = {
    b"avif",
    b"avis",
    b"heic",
    b"heix",
    b"heim",
    b"heis",
    b"hevc",
    b"mif1",
    b"msf1",
    b"crx ",
}
_MP4_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"moof", b"styp"}
_TRANSPORT_PACKET = 188

_OTHER_FORMATS = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"MThd", "MIDI: notes without sound"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"<", "a web page or XML"),
    (b"{", "JSON"),
    (b"#EXTM3U", "a playlist"),
    (b"[playlist]", "a playlist"),
)


def looks_like_audio(head: bytes) -> bool:
    """Whether the first bytes could begin a file with audio."""
    if head[:4] in (b"RIFF", b"RIFX"):
        return head[8:12] not in _RIFF_WITHOUT_AUDIO
    if head[4:8] == b"ftyp":
        return head[8:12] not in _MP4_WITHOUT_AUDIO
    return (
        head.startswith(_AT_START)
        or head[4:8] in _MP4_BOXES
        or _is_transport_stream(head)
        or _has_mpeg_frames(head)
    )


def describe_content(head: bytes) -> str:
    """What the file is instead, in a few words for the client."""
    for start, words in _OTHER_FORMATS:
        if head.lstrip()[: len(start)] == start:
            return words
    if head[:4] == b"RIFF" or head[4:8] == b"ftyp":
        return "a picture, or audio in an unknown format"
    try:
        head[:512].decode("ascii")
    except UnicodeDecodeError:
        return "an unknown format"
    return "text" if b"\0" not in head else "an unknown format"


def _is_transport_stream(head: bytes) -> bool:
    """Also with the four bytes that cameras put before each packet."""
    return any(
        len(head) > at + 2 * size and all(head[at + n * size] == 0x47 for n in range(3))
        for at, size in ((0, _TRANSPORT_PACKET), (4, _TRANSPORT_PACKET + 4))
    )


def _has_mpeg_frames(head: bytes) -> bool:
    """Whether a frame of MPEG audio or AAC is followed by another, after junk or not."""
    at = head.find(b"\xff")
    while 0 <= at < len(head) - 6:
        length = _frame_bytes(head[at : at + 6])
        if length is not None:
            following = head[at + length : at + length + 6]
            # no frame after it confirms the last one: then it must be at the very beginning
            if _frame_bytes(following) is not None or (at == 0 and len(following) < 6):
                return True
        at = head.find(b"\xff", at + 1)
    return False


_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_KBITS_V1 = {
    3: (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_KBITS_V2 = {
    3: (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    1: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def _frame_bytes(header: bytes) -> int | None:
    """Length of the frame that this header begins; None if it is not a frame header."""
    if len(header) < 6 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    if layer == 0:  # AAC in ADTS: the header has the length
        if header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
            return None
        length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
        return length if length > 7 else None
    bits, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or bits in (0, 15) or rate == 3 or header[3] & 3 == 2:
        return None
    bits_per_second = (_KBITS_V1 if version == 3 else _KBITS_V2)[layer][bits - 1] * 1000
    if layer == 3:
        return (12 * bits_per_second // _RATES[version][rate] + padding) * 4
    samples = 144 if version == 3 or layer == 2 else 72
    return samples * bits_per_second // _RATES[version][rate] + padding

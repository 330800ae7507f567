"""Says what a file is that the API refuses, and what to do. Pure."""

_ENCRYPTED = "Upload a file without copy protection."
_CONVERT = "Convert it to WAV, FLAC, or MP3, then upload it again."
_RENDER = "Export it as WAV, then upload that."

_SOUND = "Upload a file with sound."
_OTHER_FORMAT = "Upload the recording as WAV, FLAC, MP3, or M4A."
_OTHERS = (
    # first bytes, what it is, what to do
    (b"%PDF", "a PDF document", _SOUND),
    (b"PK\x03\x04", "a ZIP archive", "Unpack it, then upload the recording."),
    (b"Rar!", "a RAR archive", "Unpack it, then upload the recording."),
    (b"7z\xbc\xaf", "a 7-Zip archive", "Unpack it, then upload the recording."),
    (b"\x1f\x8b", "a gzip archive", "Unpack it, then upload the recording."),
    (b"BZh", "a bzip2 archive", "Unpack it, then upload the recording."),
    (b"\xfd7zXZ", "an xz archive", "Unpack it, then upload the recording."),
    (b"\x89PNG", "a PNG picture", _SOUND),
    (b"\xff\xd8\xff", "a JPEG picture", _SOUND),
    (b"GIF8", "a GIF picture", _SOUND),
    (b"\x7fELF", "a program", _SOUND),
    (b"MZ", "a program", _SOUND),
    (b"<", "a web page or XML", _SOUND),
    (b"{", "JSON", _SOUND),
    (b"#EXTM3U", "a playlist", "Upload the recordings that it lists."),
    (b"[playlist]", "a playlist", "Upload the recordings that it lists."),
    (b"MThd", "MIDI: notes without sound", _RENDER),
    (b"Extended Module:", "a tracker module: notes and samples", _RENDER),
    (b"IMPM", "a tracker module: notes and samples", _RENDER),
    (b"PSID", "a program for the sound chip of a C64", _RENDER),
    (b"FLhd", "a project of FL Studio", _RENDER),
    (b"SQLite format 3\0", "a database, such as a project of Audacity", _RENDER),
    (b"#!SILK", "a voice message in the SILK format", _CONVERT),
    (b"\x02#!SILK", "a voice message in the SILK format", _CONVERT),
    (b"#!AMR", "AMR with several channels", _CONVERT),
    (b"\x02dss", "a dictation (DSS)", _CONVERT),
    (b"\x03dss", "a dictation (DSS)", _CONVERT),
    (b"\x03ds2", "a dictation (DSS Pro)", _CONVERT),
    (b"ADIF", "AAC in the ADIF format", _CONVERT),
    (b"OFR ", "OptimFROG", _CONVERT),
    (b"LA0", "Lossless Audio (LA)", _CONVERT),
    (b"TTA2", "TTA version 2", _CONVERT),
    (b"TWIN", "TwinVQ", _CONVERT),
    (b"\x00\x00\x01\xb3", "MPEG video without sound", _SOUND),
)
_RIFF_TYPES = {
    b"WEBP": ("a picture (WebP)", _SOUND),
    b"ACON": ("an animated cursor", _SOUND),
    b"RMID": ("MIDI: notes without sound", _RENDER),
    b"sfbk": ("a sound font", _SOUND),
    b"QLCM": ("a voice memo in the QCP format", _CONVERT),
    b"XWMA": ("a sound of a game in the xWMA format", _CONVERT),
}
_AUDIBLE_BOOK = "an Audible book, which is encrypted (DRM)"
_AUDIBLE_MARK = b"\x57\x90\x75\x36"
_AUDIBLE_BRANDS = (b"aax ", b"aaxc")
_CONTAINERS_OF_PICTURES = (b"RIFF", b"FORM")

_WHOLE = (
    *((words, advice) for _, words, advice in _OTHERS),
    *_RIFF_TYPES.values(),
    (_AUDIBLE_BOOK, _ENCRYPTED),
)
DESCRIPTIONS = tuple(dict.fromkeys(_WHOLE))
"""What files are that the API refuses, and what to do, each once."""


def describe_content(head: bytes) -> str:
    """What the file is instead of audio that Kammerton reads, in a few words for the client."""
    return _describe(head)[0]


def refusal(head: bytes) -> str:
    """What the file is, and what to do, in two sentences for the client."""
    words, advice = _describe(head)
    return f"This looks like {words}. {advice}"


def _describe(head: bytes) -> tuple[str, str]:
    if head[4:8] == _AUDIBLE_MARK or (head[4:8] == b"ftyp" and head[8:12] in _AUDIBLE_BRANDS):
        return _AUDIBLE_BOOK, _ENCRYPTED
    for start, words, advice in _OTHERS:
        if head.startswith(start) or head.lstrip().startswith(start):
            return words, advice
    if head[:4] == b"RIFF" and head[8:12] in _RIFF_TYPES:
        return _RIFF_TYPES[head[8:12]]
    if head[:4] in _CONTAINERS_OF_PICTURES or head[4:8] == b"ftyp":
        return "a picture, or audio in an unknown format", _SOUND
    try:
        head[:512].decode("ascii")
    except UnicodeDecodeError:
        return "an unknown format", _OTHER_FORMAT
    return ("text", _SOUND) if b"\0" not in head else ("an unknown format", _OTHER_FORMAT)

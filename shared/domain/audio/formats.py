"""The audio formats that Kammerton reads. Pure.

One list decides which files the API accepts, by their first bytes, and which parts of the decoders are open
to them. docs/formats.md is generated from it, and every entry has a test file.
"""

from collections.abc import Callable
from dataclasses import dataclass

from shared.domain.audio import frames

SNIFF_BYTES = 4096
"""How many bytes to sniff, if there are so many."""

_RIFF = (b"RIFF", b"RIFX", b"RF64", b"BW64")
_RIFF_WITHOUT_WAVE = (b"AVI ", b"AMV ", b"WEBP", b"ACON", b"RMID", b"sfbk", b"QLCM", b"XWMA")
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"moof", b"styp")
_MP4_WITHOUT_AUDIO = (
    b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"crx ", b"jp2 ",
    b"jpx ", b"aax ", b"aaxc",
)  # fmt: skip
_MXF_HEADER = bytes.fromhex("060e2b34020501010d0102")
_HTTP_HEADERS_BYTES = 2048
_LEAST_TO_TELL_BYTES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFormat:
    """One format of files, and who reads it."""

    name: str
    extensions: tuple[str, ...]
    """Without the dot. The command looks for such files in folders."""
    begins: tuple[bytes, ...] = ()
    """First bytes of such files."""
    matches: Callable[[bytes], bool] = lambda _: False
    """Recognizes files by more than their first bytes."""
    demuxers: tuple[str, ...]
    """FFmpeg's names of what reads the container."""
    libsndfile: bool = False
    """Whether libsndfile is asked before FFmpeg."""
    is_probed: bool = True
    """Whether FFmpeg recognizes such files itself. If not, it gets the first demuxer."""

    def recognizes(self, head: bytes) -> bool:
        """Whether *head* can begin a file of this format."""
        return head.startswith(self.begins) or self.matches(head)


def _in_chunk(outer: tuple[bytes, ...], *inner: bytes) -> Callable[[bytes], bool]:
    """Recognizes IFF and its kin: a chunk, its size, and the type of what is in it."""
    return lambda head: head[:4] in outer and head[8:12].startswith(inner)


def _is_mp4(head: bytes) -> bool:
    return head[4:8] in _MP4_BOXES and not (head[4:8] == b"ftyp" and head[8:12] in _MP4_WITHOUT_AUDIO)


def _begins_with_zeros(head: bytes) -> bool:
    """Downloads that were resumed wrongly begin with up to megabytes of zeros; then sound follows."""
    sound = head.lstrip(b"\0")
    return sound.startswith(b"ID3") or (len(head) >= SNIFF_BYTES and len(sound) < _LEAST_TO_TELL_BYTES)


def _is_radio_capture(head: bytes) -> bool:
    return head.startswith(b"HTTP/1.") and b"\nicy-" in head[:_HTTP_HEADERS_BYTES].lower()


FORMATS = (
    AudioFormat(
        name="WAV, RF64, BWF",
        extensions=("wav", "wave", "bwf", "rf64"),
        matches=lambda head: head[:4] in _RIFF and head[8:12] not in _RIFF_WITHOUT_WAVE,
        demuxers=("wav",),
        libsndfile=True,
    ),
    AudioFormat(
        name="Sony Wave64",
        extensions=("w64",),
        begins=(b"riff\x2e\x91\xcf\x11",),
        demuxers=("w64",),
        libsndfile=True,
    ),
    AudioFormat(
        name="AIFF, 8SVX, MAUD",
        extensions=("aif", "aiff", "aifc", "8svx", "maud"),
        matches=_in_chunk((b"FORM",), b"AIFF", b"AIFC", b"8SVX", b"16SV", b"MAUD"),
        demuxers=("aiff", "iff"),
        libsndfile=True,
    ),
    AudioFormat(name="CAF", extensions=("caf",), begins=(b"caff",), demuxers=("caf",), libsndfile=True),
    AudioFormat(
        name="AU", extensions=("au", "snd"), begins=(b".snd", b"dns."), demuxers=("au",), libsndfile=True
    ),
    AudioFormat(
        name="FLAC",
        extensions=("flac",),
        begins=(b"fLaC",),
        matches=frames.has_flac_frame,
        demuxers=("flac",),
        libsndfile=True,
    ),
    AudioFormat(
        name="Ogg: Vorbis, Opus, Speex, FLAC",
        extensions=("ogg", "oga", "ogv", "opus", "spx"),
        begins=(b"OggS",),
        demuxers=("ogg",),
        libsndfile=True,
    ),
    AudioFormat(
        name="AAC (LOAS)", extensions=("loas", "latm"), matches=frames.has_loas_frames, demuxers=("loas",)
    ),
    AudioFormat(
        name="MP4, M4A, QuickTime, 3GP",
        extensions=("m4a", "m4b", "m4v", "mp4", "mov", "qt", "3gp", "3g2"),
        matches=_is_mp4,
        demuxers=("mov",),
    ),
    AudioFormat(
        name="Matroska, WebM",
        extensions=("mka", "mkv", "webm"),
        begins=(b"\x1aE\xdf\xa3",),
        demuxers=("matroska",),
    ),
    AudioFormat(
        name="WMA, ASF",
        extensions=("wma", "wmv", "asf"),
        begins=(b"0&\xb2u\x8ef\xcf\x11",),
        demuxers=("asf",),
    ),
    AudioFormat(
        name="AVI", extensions=("avi",), matches=_in_chunk((b"RIFF",), b"AVI", b"AMV "), demuxers=("avi",)
    ),
    AudioFormat(name="FLV", extensions=("flv",), begins=(b"FLV\x01",), demuxers=("flv",)),
    AudioFormat(
        name="MPEG program stream",
        extensions=("mpg", "mpeg", "vob"),
        begins=(b"\x00\x00\x01\xba",),
        demuxers=("mpeg",),
    ),
    AudioFormat(
        name="DV",
        extensions=("dv", "dif"),
        begins=(b"\x1f\x07\x00\x3f", b"\x1f\x07\x00\xbf"),
        demuxers=("dv",),
    ),
    AudioFormat(
        name="RealMedia", extensions=("rm", "ra", "rmvb"), begins=(b".RMF", b".ra\xfd"), demuxers=("rm",)
    ),
    AudioFormat(name="AMR", extensions=("amr", "awb"), begins=(b"#!AMR\n", b"#!AMR-WB\n"), demuxers=("amr",)),
    AudioFormat(
        name="GSM 06.10",
        extensions=("gsm",),
        matches=frames.has_gsm_frames,
        demuxers=("gsm",),
        is_probed=False,
    ),
    AudioFormat(
        name="AC-3, E-AC-3",
        extensions=("ac3", "eac3", "ec3"),
        begins=(b"\x0bw", b"w\x0b"),
        demuxers=("ac3", "eac3"),
    ),
    AudioFormat(
        name="DTS",
        extensions=("dts",),
        begins=(b"\x7f\xfe\x80\x01", b"\xfe\x7f\x01\x80", b"\x1f\xff\xe8\x00", b"\xff\x1f\x00\xe8"),
        demuxers=("dts",),
    ),
    AudioFormat(
        name="Dolby TrueHD",
        extensions=("thd",),
        matches=lambda head: head[4:8] == b"\xf8\x72\x6f\xba",
        demuxers=("truehd",),
        is_probed=False,
    ),
    AudioFormat(
        name="MLP",
        extensions=("mlp",),
        matches=lambda head: head[4:8] == b"\xf8\x72\x6f\xbb",
        demuxers=("mlp",),
        is_probed=False,
    ),
    AudioFormat(name="WavPack", extensions=("wv",), begins=(b"wvpk",), demuxers=("wv",)),
    AudioFormat(name="Monkey’s Audio", extensions=("ape",), begins=(b"MAC ",), demuxers=("ape",)),
    AudioFormat(name="TTA", extensions=("tta",), begins=(b"TTA1",), demuxers=("tta",)),
    AudioFormat(name="TAK", extensions=("tak",), begins=(b"tBaK",), demuxers=("tak",)),
    AudioFormat(
        name="Musepack", extensions=("mpc", "mp+"), begins=(b"MPCK", b"MP+"), demuxers=("mpc", "mpc8")
    ),
    AudioFormat(name="Shorten", extensions=("shn",), begins=(b"ajkg",), demuxers=("shn",)),
    AudioFormat(name="DSF", extensions=("dsf",), begins=(b"DSD ",), demuxers=("dsf",)),
    AudioFormat(
        name="DSDIFF",
        extensions=("dff",),
        matches=lambda head: head[:4] == b"FRM8" and head[12:16] == b"DSD ",
        demuxers=("iff",),
    ),
    AudioFormat(
        name="Sony OpenMG", extensions=("oma", "aa3"), begins=(b"ea3\x03", b"EA3\x01"), demuxers=("oma",)
    ),
    AudioFormat(
        name="Creative Voice", extensions=("voc",), begins=(b"Creative Voice File\x1a",), demuxers=("voc",)
    ),
    AudioFormat(
        name="NIST SPHERE",
        extensions=("sph", "nist"),
        begins=(b"NIST_1A\n",),
        demuxers=("nistsphere",),
        libsndfile=True,
    ),
    AudioFormat(
        name="IRCAM",
        extensions=("sf", "ircam"),
        begins=tuple(b"\x64\xa3" + bytes([n]) + b"\0" for n in range(1, 5))
        + tuple(b"\0" + bytes([n]) + b"\xa3\x64" for n in range(1, 5)),
        demuxers=("ircam",),
        libsndfile=True,
    ),
    AudioFormat(name="SoX", extensions=("sox",), begins=(b".SoX", b"XoS."), demuxers=("sox",)),
    AudioFormat(name="AVR", extensions=("avr",), begins=(b"2BIT",), demuxers=("avr",)),
    AudioFormat(
        name="MXF",
        extensions=("mxf",),
        matches=lambda head: _MXF_HEADER in head,
        demuxers=("mxf",),
    ),
    AudioFormat(
        name="MPEG transport stream",
        extensions=("ts", "mts", "m2ts"),
        matches=frames.has_transport_packets,
        demuxers=("mpegts",),
    ),
    AudioFormat(
        name="MP3, AAC (ADTS)",
        extensions=("mp1", "mp2", "mp3", "aac"),
        begins=(b"ID3", b"ICY ", b"APETAGEX"),
        matches=lambda head: (
            frames.has_mpeg_frames(head) or _is_radio_capture(head) or _begins_with_zeros(head)
        ),
        demuxers=("mp3", "aac"),
        libsndfile=True,
    ),
)
"""Those that are found by searching come last: a head can match several."""


def identify_format(head: bytes) -> AudioFormat | None:
    """Return the first format that *head* can begin, None if there is none."""
    return next((each for each in FORMATS if each.recognizes(head)), None)


def looks_like_audio(head: bytes) -> bool:
    """Whether the first bytes could begin a file with audio that Kammerton reads."""
    return identify_format(head) is not None

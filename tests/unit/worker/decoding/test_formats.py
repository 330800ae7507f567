"""Every format that the API accepts is decoded, and nothing else is open in the decoders."""

import io

import pytest
from av.codec import Codec
from av.format import ContainerFormat

from shared.domain.audio.formats import FORMATS, SNIFF_BYTES, AudioFormat, identify_format
from tests.support.audio_files import KINDS, TONE_HZ, audio_file
from tests.support.format_files import FORMAT_FILES, WITHOUT_FILE, format_file, radio_capture
from tests.unit.worker.decoding.test_decode import cents, frequency_hz
from worker.decoding.decode import decode
from worker.decoding.ffmpeg import OPTIONS
from worker.decoding.icy import strip_icy
from worker.jobs.analyze_audio import analyze_audio


def named(name: str) -> AudioFormat:
    return next(each for each in FORMATS if each.name == name)


def identified(file: bytes) -> str | None:
    found = identify_format(file[:SNIFF_BYTES])
    return found.name if found else None


@pytest.mark.parametrize("kind", FORMAT_FILES)
def test_a_file_goes_through_the_door_and_the_decoder_to_its_pitch(kind: str) -> None:
    file = format_file(kind)
    assert identified(file) == FORMAT_FILES[kind][0]
    recording = decode(io.BytesIO(file), start_seconds=0, window_seconds=60)
    assert abs(cents(frequency_hz(recording))) < 0.05
    assert not recording.is_damaged


@pytest.mark.parametrize("kind", FORMAT_FILES)
def test_a_start_within_a_file_leaves_the_rest(kind: str) -> None:
    whole = decode(io.BytesIO(format_file(kind)), start_seconds=0, window_seconds=60).seconds
    rest = decode(io.BytesIO(format_file(kind)), start_seconds=0.2, window_seconds=60)
    assert rest.start_seconds == pytest.approx(0.2, abs=0.03)
    assert rest.seconds == pytest.approx(whole - 0.2, abs=0.05)


@pytest.mark.parametrize("kind", ["gsm", "speex", "mp3-free-format", "musepack", "realmedia", "nist"])
def test_a_file_is_analyzed_to_its_a4(kind: str) -> None:
    report = analyze_audio(io.BytesIO(format_file(kind)), start_seconds=None, window_seconds=60)
    assert report.tuning.a4_hz == pytest.approx(TONE_HZ, rel=0.0002)


def test_every_format_has_a_file() -> None:
    files = {FORMAT_FILES[kind][0] for kind in FORMAT_FILES} | {
        identified(audio_file(kind)) for kind in KINDS
    }
    assert {each.name for each in FORMATS} - files == WITHOUT_FILE


def test_every_demuxer_is_in_the_wheel() -> None:
    for demuxer in OPTIONS["format_whitelist"].split(","):
        assert ContainerFormat(demuxer, "r").is_input
    for name in WITHOUT_FILE:
        assert Codec(named(name).demuxers[0], "r").type == "audio"


def test_every_format_has_extensions_of_its_own() -> None:
    extensions = [end for each in FORMATS for end in each.extensions]
    assert len(extensions) == len(set(extensions))
    assert all(end == end.lower() and "." not in end for end in extensions)


@pytest.mark.parametrize("interval", [1, 16, 8192, 9_999_999])
@pytest.mark.parametrize("read", [1, 7, 100_000])
def test_the_sound_of_a_radio_capture_is_read_without_its_metadata(interval: int, read: int) -> None:
    sound = bytes(range(256)) * 40
    capture = strip_icy(io.BytesIO(radio_capture(sound, interval=interval)))
    assert b"".join(iter(lambda: capture.read(read), b"")) == sound
    capture.seek(5000)
    assert capture.read(300) == sound[5000:5300]
    capture.seek(0, io.SEEK_END)
    assert capture.read(10) == b""


def test_a_radio_capture_of_headers_only_has_no_sound() -> None:
    header = b"ICY 200 OK\r\nicy-metaint:8192\r\n\r\n"
    assert strip_icy(io.BytesIO(header)).read() == b""


@pytest.mark.parametrize("file", [b"", b"ICY", b"ICY 200 OK\r\nicy-metaint:1", b"fLaC" + bytes(100)])
def test_other_files_are_left_as_they_are(file: bytes) -> None:
    audio = io.BytesIO(file)
    assert strip_icy(audio) is audio
    assert audio.tell() == 0

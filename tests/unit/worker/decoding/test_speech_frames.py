"""AMR, raw GSM and DTS: a place is computed only if all frames have one size."""

import io
from contextlib import suppress

import numpy as np
import pytest

from shared.errors import Unanalysable, Undecodable
from tests.support.audio_files import audio_file, damaged_copies
from tests.support.format_files import format_file
from tests.support.long_files import LongFile, dts_unit, joined
from tests.support.long_kinds import AMR_HEAD, AMR_WIDE_HEAD, LONG_KINDS
from worker.decoding.byte_source import ByteSource
from worker.decoding.decode import decode
from worker.decoding.seeking.measured_duration import measured_duration
from worker.decoding.seeking.speech_frames import SpeechFrames

FRAME_SECONDS = 0.02
NARROW_BYTES = 32
WIDE = b"\x44".ljust(61, b"x")
"""A frame of AMR-WB at 23.85 kbit/s."""
PAUSE = (b"\x44" + bytes(5) + b"\x7c" * 7) * 100
"""16 s of silence in AMR, in fewer bytes: a description of the noise, and frames without data."""
PAUSE_SECONDS = 800 * FRAME_SECONDS


def frames_of(content: bytes) -> SpeechFrames:
    return SpeechFrames(ByteSource(io.BytesIO(content)).read_range, size=len(content))


def away_at(file: LongFile, content: bytes, *, start: float, moved: float = 0.0) -> float:
    recording = decode(io.BytesIO(content), start_seconds=start + moved, window_seconds=10)
    assert recording.start_seconds == pytest.approx(start + moved, abs=0.1)
    return abs(file.offset_of(recording.samples, recording.sample_rate, start=start))


@pytest.mark.parametrize(("minutes", "seconds"), [(1, 40.0), (30, 40.0), (30, 1_799.0), (120, 5_000.0)])
def test_a_place_in_wide_band_amr_is_a_frame_half_a_second_before(minutes: int, seconds: float) -> None:
    place = frames_of(AMR_WIDE_HEAD + minutes * 3_000 * WIDE).place_before(seconds)
    assert place is not None
    number = round((seconds - 0.5) / FRAME_SECONDS)
    assert (place.offset, place.head) == (9 + number * len(WIDE), AMR_WIDE_HEAD)
    assert place.seconds == pytest.approx(number * FRAME_SECONDS)


@pytest.mark.parametrize("share", [0.1, 0.4, 0.9])
def test_a_pause_moves_what_is_behind_it(share: float) -> None:
    file = LONG_KINDS["amr"]()
    cut = len(AMR_HEAD) + int(share * len(file.content)) // NARROW_BYTES * NARROW_BYTES
    content = file.content[:cut] + PAUSE + file.content[cut:]
    pause_at = (cut - len(AMR_HEAD)) / NARROW_BYTES * FRAME_SECONDS
    assert away_at(file, content, start=pause_at - 200) < 0.07
    assert away_at(file, content, start=pause_at + 20, moved=PAUSE_SECONDS) < 0.07


def test_small_files_with_pauses_are_counted() -> None:
    recording = LONG_KINDS["amr"]().content[: 6 + 5_000 * NARROW_BYTES]
    frames = frames_of(recording + PAUSE + recording[6:])
    assert frames.is_duration_exact
    assert frames.duration_seconds == pytest.approx(200 + PAUSE_SECONDS)
    place = frames.place_before(110 + PAUSE_SECONDS)
    assert place is not None
    assert place.offset == len(recording) + len(PAUSE) + 475 * NARROW_BYTES


@pytest.mark.parametrize("start", [0.0, 30.0, 90.0 + PAUSE_SECONDS])
def test_pauses_that_ffmpeg_does_not_decode_are_silence(start: float) -> None:
    content = LONG_KINDS["amr"]().content
    half = 3_000 * NARROW_BYTES
    recording = decode(
        io.BytesIO(content[: 6 + half] + PAUSE + content[6 : 6 + half]),
        start_seconds=start,
        window_seconds=200,
    )
    assert recording.duration_seconds == pytest.approx(120 + PAUSE_SECONDS, abs=0.1)
    assert recording.seconds == pytest.approx(120 + PAUSE_SECONDS - start, abs=0.1)
    assert not recording.is_damaged


def test_nothing_but_pauses_is_silence() -> None:
    recording = decode(io.BytesIO(AMR_HEAD + PAUSE), start_seconds=0, window_seconds=60)
    assert recording.seconds == pytest.approx(PAUSE_SECONDS, abs=0.1)
    assert not recording.samples.any()
    assert not recording.is_damaged


@pytest.mark.parametrize("rest", [bytes(33_000), b"\x5a" * 33_000])
def test_what_is_no_gsm_does_not_become_noise(rest: bytes) -> None:
    recording = decode(
        io.BytesIO(LONG_KINDS["gsm"]().content[:33_000] + rest), start_seconds=0, window_seconds=60
    )
    assert recording.seconds == pytest.approx(20, abs=0.1)
    assert recording.is_damaged


@pytest.mark.parametrize(("kind", "seconds"), [("amr", 7_200), ("gsm", 7_200), ("dts", 7_200)])
def test_the_length_is_that_of_the_frames(kind: str, seconds: int) -> None:
    content = LONG_KINDS[kind]().content
    assert measured_duration(io.BytesIO(content)) == pytest.approx(seconds, rel=0.001)
    cut = content[: len(content) // 3 + 7]
    assert measured_duration(io.BytesIO(cut)) == pytest.approx(seconds / 3, rel=0.001)
    with pytest.raises(Undecodable, match=r"ends after 2[34]"):
        decode(io.BytesIO(cut), start_seconds=3_000, window_seconds=10)


def test_the_length_of_amr_of_several_rates_is_not_measured() -> None:
    assert measured_duration(io.BytesIO(LONG_KINDS["amr-several-rates"]().content)) is None


def little_endian(content: bytes) -> bytes:
    return np.frombuffer(content, "<u2").byteswap().tobytes()


def in_words_of_14_bits(content: bytes) -> bytes:
    frames = (content[at : at + 256] for at in range(0, len(content), 256))
    return b"".join(map(_frame_in_words_of_14_bits, frames))


def _frame_in_words_of_14_bits(frame: bytes) -> bytes:
    bits = np.unpackbits(np.frombuffer(frame, np.uint8))
    words = np.pad(bits, (0, -len(bits) % 14)).reshape(-1, 14)
    # Those on CDs repeat the sign in the two bits above.
    return np.packbits(np.hstack([words[:, :1], words[:, :1], words])).tobytes()


@pytest.mark.parametrize("kept_in_words_of", [16, 14])
@pytest.mark.parametrize("is_little_endian", [False, True])
def test_dts_is_found_in_every_order_of_its_bits(kept_in_words_of: int, is_little_endian: bool) -> None:
    file = joined(dts_unit(), seconds=900)
    content = file.content if kept_in_words_of == 16 else in_words_of_14_bits(file.content)
    content = little_endian(content) if is_little_endian else content
    assert measured_duration(io.BytesIO(content)) == pytest.approx(file.seconds, abs=0.2)
    assert away_at(file, content, start=800) < 0.07


@pytest.mark.parametrize("kind", ["amr", "gsm", "dts"])
def test_damaged_frames_end_as_a_result_or_a_problem(kind: str) -> None:
    content = audio_file("amr", seconds=8.0) if kind == "amr" else 6 * format_file(kind)
    for damaged in damaged_copies(content, count=40):
        with suppress(Unanalysable):
            assert decode(io.BytesIO(damaged), start_seconds=3, window_seconds=2).seconds > 0


@pytest.mark.parametrize("content", [AMR_HEAD, AMR_WIDE_HEAD, AMR_HEAD + b"\x3c", b"\xd0" * 200, b""])
def test_a_file_without_a_whole_frame_has_no_place(content: bytes) -> None:
    with pytest.raises(ValueError, match="frame"):
        frames_of(content)

"""The report's duration: exact if it is counted, estimated if it comes from a bit rate."""

import io

import numpy as np
import pytest

from shared.domain.report import AudioTrack, DurationAccuracy, TrackReason
from tests.support import hostile_files as hostile
from tests.support.audio_files import KINDS, audio_file, id3_tag, tone, two_tracks
from worker.decoding.decode import decode
from worker.decoding.window import Recording

ESTIMATED = {"aac", "ac3", "amr", "flv-nellymoser", "mp3-no-xing", "mp4-fragmented", "mpegts"}


def first_second(file: bytes) -> Recording:
    return decode(io.BytesIO(file), start_seconds=0, window_seconds=1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_duration_says_how_it_is_known(kind: str) -> None:
    recording = first_second(audio_file(kind, seconds=5.0))
    expected = DurationAccuracy.ESTIMATED if kind in ESTIMATED else DurationAccuracy.EXACT
    assert recording.duration_accuracy is expected
    assert recording.duration_seconds is not None
    if expected is DurationAccuracy.EXACT:
        assert recording.duration_seconds == pytest.approx(5.0, abs=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_recording_that_is_decoded_to_its_end_has_an_exact_duration(kind: str) -> None:
    recording = decode(io.BytesIO(audio_file(kind, seconds=3.0)), start_seconds=1.0, window_seconds=60)
    assert recording.duration_accuracy is DurationAccuracy.EXACT
    assert recording.duration_seconds == pytest.approx(3.0, abs=0.15)


@pytest.mark.parametrize("kind", ["wav-claims-hours", "wav-claims-endless", "wav-claims-nothing"])
def test_a_false_length_in_a_header_is_corrected_at_the_end(kind: str) -> None:
    recording = decode(io.BytesIO(hostile.hostile_file(kind)), start_seconds=0, window_seconds=60)
    assert recording.duration_seconds == pytest.approx(1.0, abs=0.1)
    assert recording.duration_accuracy is DurationAccuracy.EXACT


def test_frames_are_counted_behind_a_tag() -> None:
    tagged = id3_tag([(b"APIC", bytes(100_000))])
    assert first_second(tagged + audio_file("mp3-vbr", seconds=5.0)).duration_accuracy == "exact"
    assert first_second(tagged + audio_file("mp3-no-xing", seconds=5.0)).duration_accuracy == "estimated"


@pytest.mark.parametrize(
    ("silent", "default", "expected"),
    [
        (None, 0, AudioTrack(index=1, count=2, language="eng", title="Stereo", reason=TrackReason.DEFAULT)),
        (None, 1, AudioTrack(index=2, count=2, reason=TrackReason.DEFAULT)),
        (None, None, AudioTrack(index=1, count=2, language="eng", title="Stereo", reason=TrackReason.FIRST)),
        (0, 0, AudioTrack(index=2, count=2, reason=TrackReason.FIRST_AUDIBLE)),
    ],
)
def test_the_track_says_why_it_was_chosen(
    silent: int | None, default: int | None, expected: AudioTrack
) -> None:
    tracks = [tone(1.0, channels=1), tone(1.0, channels=1)]
    if silent is not None:
        tracks[silent] = np.zeros_like(tracks[silent])
    tags = {"language": "eng", "title": "Ste\x1breo" + "\n"}
    recording = first_second(two_tracks(*tracks, default=default, tags=tags))
    assert recording.track == expected


def test_a_title_is_cut_to_a_hundred_characters() -> None:
    sound = tone(0.5, channels=1)
    recording = first_second(two_tracks(sound, sound, default=0, tags={"title": "x" * 100_000}))
    assert recording.track.title == "x" * 100


def test_a_file_of_one_track_had_no_choice() -> None:
    assert first_second(audio_file("m4a")).track == AudioTrack(index=1, count=1)
    assert first_second(audio_file("wav")).track == AudioTrack(index=1, count=1)


def test_the_length_of_fragments_is_that_up_to_the_last_one() -> None:
    recording = first_second(audio_file("mp4-fragmented", seconds=20.0))
    assert recording.duration_seconds == pytest.approx(19.5, abs=0.5)
    assert recording.duration_accuracy is DurationAccuracy.ESTIMATED

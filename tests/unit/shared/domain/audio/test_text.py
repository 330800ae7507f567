from dataclasses import replace

import pytest

from shared.domain.audio.text import length_text, track_text
from shared.domain.report import AudioTrack, DurationAccuracy, TrackReason
from tests.support.factories import make_report

AUDIO = make_report().audio


@pytest.mark.parametrize(
    ("seconds", "accuracy", "text"),
    [
        (215.4, DurationAccuracy.EXACT, "3:35"),
        (7.0, DurationAccuracy.EXACT, "0:07"),
        (3599.7, DurationAccuracy.EXACT, "1:00:00"),
        (3731.0, DurationAccuracy.ESTIMATED, "about 1:02:11"),
        (None, DurationAccuracy.UNKNOWN, None),
    ],
)
def test_a_length_is_a_clock(seconds: float | None, accuracy: DurationAccuracy, text: str | None) -> None:
    assert length_text(replace(AUDIO, duration_seconds=seconds, duration_accuracy=accuracy)) == text


def test_only_a_choice_between_tracks_is_mentioned() -> None:
    assert track_text(None) is None
    assert track_text(AudioTrack(index=1, count=1)) is None
    named = AudioTrack(index=2, count=3, title="Stereo", language="eng", reason=TrackReason.DEFAULT)
    assert track_text(named) == "2 of 3, the default: Stereo (eng)"
    audible = AudioTrack(index=3, count=3, reason=TrackReason.FIRST_AUDIBLE)
    assert track_text(audible) == "3 of 3, the first that isn’t silent"

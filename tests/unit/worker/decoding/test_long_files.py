"""A window anywhere in two hours is read without the hours before it, and is the place that was asked for."""

import io

import pytest

from tests.support.counting_file import CountingFile
from tests.support.long_kinds import ENCODER_DELAY_SECONDS, LONG_KINDS, READS
from worker.decoding.decode import decode
from worker.sandbox.child import BUFFER_BYTES

WINDOW_SECONDS = 60.0


@pytest.mark.parametrize("kind", LONG_KINDS)
def test_a_window_of_two_hours_is_where_it_says_and_costs_what_the_table_says(kind: str) -> None:
    long_file, reads = LONG_KINDS[kind](), READS[kind]
    window_bytes = len(long_file.content) * WINDOW_SECONDS / long_file.seconds
    for start, most in zip((0.0, 3_600.0, 7_100.0), reads.extra_mib, strict=True):
        file = CountingFile(long_file.content)
        audio = io.BufferedReader(file, BUFFER_BYTES)
        recording = decode(audio, start_seconds=start, window_seconds=WINDOW_SECONDS)
        assert recording.seconds == pytest.approx(WINDOW_SECONDS)
        assert recording.start_seconds == pytest.approx(start, abs=0.1)
        assert recording.is_start_estimated is (reads.seek_seconds > 1 and start == 3_600.0)
        extra_mib = (file.bytes_read - window_bytes) / (1 << 20)
        assert extra_mib <= most, start
        most_seconds = reads.seek_seconds if recording.is_start_estimated else ENCODER_DELAY_SECONDS
        away = long_file.offset_of(
            recording.samples, recording.sample_rate, start=start, within=max(0.25, most_seconds)
        )
        assert abs(away) <= most_seconds, start

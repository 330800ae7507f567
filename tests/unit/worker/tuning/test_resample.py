"""Any samples come down to about 11 kHz with every frequency exact, whatever is broken in them."""

import math

import numpy as np
import pytest

from tests.support import tones
from tests.support.tones import RATE
from worker.tuning.resample import BLOCK, GUARD, TARGET_RATE_HZ, low_band


@pytest.mark.parametrize("rate", [4000, 8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000, 192000])
def test_a_tone_keeps_its_pitch_and_its_time_at_any_rate(rate: int) -> None:
    """Sample by sample, over the seams of the blocks."""
    hz = 431.7
    low = low_band(tones.sine(hz, rate=rate, seconds=2.5, level=1.0), rate)
    assert low.rate_hz <= max(rate, 1.3 * TARGET_RATE_HZ)
    assert low.rate_hz >= min(rate, TARGET_RATE_HZ)
    assert low.samples.size == pytest.approx(2.5 * low.rate_hz, abs=2)
    assert low.samples.size > BLOCK - 2 * GUARD
    expected = np.sin(2 * math.pi * hz * np.arange(low.samples.size) / low.rate_hz)
    middle = slice(GUARD, -GUARD)
    assert low.samples[middle] == pytest.approx(expected[middle], abs=2e-3)


@pytest.mark.parametrize("hz", [5700.0, 8000.0, 10000.0, 11025.0 + 440.0])
def test_what_lies_above_does_not_come_back_as_a_wrong_pitch(hz: float) -> None:
    low = low_band(tones.sine(hz, rate=44100, seconds=1.0), 44100)
    assert np.abs(low.samples[GUARD:-GUARD]).max() < 1e-3


@pytest.mark.parametrize("level", [3e-6, 0.01, 1.0, 1e6, 1e30])
def test_quiet_and_loud_recordings_are_the_same_to_all_that_follows(level: float) -> None:
    tone = low_band(tones.sine(440.0, seconds=1.0, level=level), RATE)
    assert np.abs(tone.samples[GUARD:-GUARD]).max() == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf, 1e30])
def test_broken_samples_are_silence_and_the_rest_stays_what_it_is(broken: float) -> None:
    tone = tones.sine(440.0, seconds=3.0)
    clean = low_band(tone, RATE).samples
    tone[30000:30003] = broken
    found = low_band(tone, RATE).samples
    assert np.isfinite(found).all()
    far = np.abs(np.arange(found.size) - 15000) > 1000
    assert found[far] == pytest.approx(clean[far], abs=1e-3)


@pytest.mark.parametrize("share", [0.12, 0.08, 0.02])
def test_a_little_music_in_much_silence_is_heard_as_loud_as_alone(share: float) -> None:
    """Of blocks over the last tenth none but silent ones are left."""
    silence = np.zeros(20 * RATE, np.float32)
    silence[2 * RATE : round((2 + 20 * share) * RATE)] = tones.sine(440.0, seconds=20 * share)
    assert np.abs(low_band(silence, RATE).samples).max() == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("size", [1, 5, 4095, 4097])
def test_any_length_comes_down(size: int) -> None:
    assert low_band(np.ones(size, np.float32), RATE).samples.size == size // 2


@pytest.mark.parametrize(
    "samples",
    [np.zeros(0), np.zeros(9000), np.full(9000, np.nan), np.full(9000, 9e-7)],
    ids=["nothing", "zeros", "broken", "under the least step of 24 bits"],
)
def test_where_nothing_was_recorded_nothing_is_left(samples: np.ndarray) -> None:
    low = low_band(samples.astype(np.float32), RATE)
    assert low.samples.size == 0
    assert not low.clipped


def test_clipping_is_told_from_a_loud_peak() -> None:
    loud = tones.melody(440.0, seconds=4.0)
    assert not low_band(loud, RATE).clipped
    assert low_band(np.clip(8 * loud, -0.1, 0.1), RATE).clipped
    once = loud.copy()
    once[5000:5020] = 0.9
    assert not low_band(once, RATE).clipped


def test_the_recording_is_left_as_it_was() -> None:
    loud = tones.melody(440.0, seconds=1.0)
    before = loud.copy()
    low_band(loud, RATE)
    assert (loud == before).all()

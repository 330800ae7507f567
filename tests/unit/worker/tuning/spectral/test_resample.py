"""Resampling to about 11 kHz keeps frequencies exact and removes broken samples."""

import math

import numpy as np
import pytest

from tests.support import tones
from tests.support.tones import RATE
from worker.tuning.spectral.resample import BLOCK, GUARD, TARGET_RATE_HZ, resample


@pytest.mark.parametrize("rate", [4000, 8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000, 192000])
def test_pitch_and_time_are_kept_at_any_sample_rate(rate: int) -> None:
    """Sample by sample, over the seams of the blocks."""
    hz = 431.7
    low = resample(tones.sine(hz, rate=rate, seconds=2.5, level=1.0), rate)
    assert low.rate_hz <= max(rate, 1.3 * TARGET_RATE_HZ)
    assert low.rate_hz >= min(rate, TARGET_RATE_HZ)
    assert low.samples.size == pytest.approx(2.5 * low.rate_hz, abs=2)
    assert low.samples.size > BLOCK - 2 * GUARD
    expected = np.sin(2 * math.pi * hz * np.arange(low.samples.size) / low.rate_hz)
    middle = slice(GUARD, -GUARD)
    assert low.samples[middle] == pytest.approx(expected[middle], abs=2e-3)


@pytest.mark.parametrize("hz", [5700.0, 8000.0, 10000.0, 11025.0 + 440.0])
def test_high_frequencies_do_not_alias(hz: float) -> None:
    low = resample(tones.sine(hz, rate=44100, seconds=1.0), 44100)
    assert np.abs(low.samples[GUARD:-GUARD]).max() < 1e-3


@pytest.mark.parametrize("level", [3e-6, 0.01, 1.0, 1e6, 1e30])
def test_level_is_normalized(level: float) -> None:
    tone = resample(tones.sine(440.0, seconds=1.0, level=level), RATE)
    assert np.abs(tone.samples[GUARD:-GUARD]).max() == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf, 1e30])
def test_broken_samples_become_silence(broken: float) -> None:
    tone = tones.sine(440.0, seconds=3.0)
    clean = resample(tone, RATE).samples
    tone[30000:30003] = broken
    found = resample(tone, RATE).samples
    assert np.isfinite(found).all()
    far = np.abs(np.arange(found.size) - 15000) > 1000
    assert found[far] == pytest.approx(clean[far], abs=1e-3)


@pytest.mark.parametrize("share", [0.12, 0.08, 0.02])
def test_silence_does_not_change_the_normalization(share: float) -> None:
    """Of blocks over the last tenth none but silent ones are left."""
    silence = np.zeros(20 * RATE, np.float32)
    silence[2 * RATE : round((2 + 20 * share) * RATE)] = tones.sine(440.0, seconds=20 * share)
    assert np.abs(resample(silence, RATE).samples).max() == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("size", [1, 5, 4095, 4097])
def test_any_length_is_resampled(size: int) -> None:
    assert resample(np.ones(size, np.float32), RATE).samples.size == size // 2


@pytest.mark.parametrize(
    "samples",
    [np.zeros(0), np.zeros(9000), np.full(9000, np.nan), np.full(9000, 9e-7)],
    ids=["nothing", "zeros", "broken", "under the least step of 24 bits"],
)
def test_silence_has_no_samples(samples: np.ndarray) -> None:
    low = resample(samples.astype(np.float32), RATE)
    assert low.samples.size == 0
    assert not low.clipped


def test_clipping_differs_from_a_loud_peak() -> None:
    loud = tones.melody(440.0, seconds=4.0)
    assert not resample(loud, RATE).clipped
    assert resample(np.clip(8 * loud, -0.1, 0.1), RATE).clipped
    once = loud.copy()
    once[5000:5020] = 0.9
    assert not resample(once, RATE).clipped


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("steps", [0.8, 1.5, 2.5, 4.0, 6.0])
def test_a_few_steps_of_a_quiet_recording_are_not_clipping(bits: int, steps: float) -> None:
    sound = tones.melody(440.0, seconds=4.0)
    full_scale = 2 ** (bits - 1)
    quiet = np.round(steps * sound / np.abs(sound).max()) / full_scale
    assert not resample(quiet.astype(np.float32), RATE).clipped


def test_clipping_in_eight_bits_is_noticed() -> None:
    sound = tones.melody(440.0, seconds=4.0)
    loud = np.round(np.clip(4 * sound / np.abs(sound).max(), -1, 1) * 127) / 128
    assert resample(loud.astype(np.float32), RATE).clipped


def test_the_input_is_not_modified() -> None:
    loud = tones.melody(440.0, seconds=1.0)
    before = loud.copy()
    resample(loud, RATE)
    assert (loud == before).all()

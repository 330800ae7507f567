"""Sines of known frequency and level: a hundredth of a cent lost here is lost for all that follows."""

import numpy as np
import pytest

from tests.support import tones
from tests.support.tones import RATE, Samples
from worker.tuning.peaks import CHUNK, HIGHEST_HZ, LOWEST_HZ, Partials, find_partials
from worker.tuning.resample import low_band


def heard(samples: Samples, *, window_seconds: float = 0.37, rate: int = RATE) -> Partials:
    return find_partials(low_band(samples, rate), window_seconds=window_seconds, overlap=4)


def inside(partials: Partials) -> np.ndarray:
    """Those of frames that the recording's ends do not reach."""
    return (partials.frame > 1) & (partials.frame < partials.frames - 2)


def two(first: Samples, second: Samples) -> Samples:
    return np.asarray(first + second, np.float32)


@pytest.mark.parametrize("hz", [55.0, 110.3, 440.0, 1234.5, 4321.0])
@pytest.mark.parametrize("window_seconds", [0.37, 0.74])
def test_a_sine_is_heard_at_its_own_frequency(hz: float, window_seconds: float) -> None:
    partials = heard(tones.sine(hz, seconds=4.0), window_seconds=window_seconds)
    found = partials.hz[inside(partials)]
    assert found.size == partials.frames - 4
    assert 1200.0 * np.log2(found / hz) == pytest.approx(np.zeros(found.size), abs=0.02)


def test_a_steady_sine_is_neither_blurred_nor_damped() -> None:
    partials = heard(tones.sine(441.7, seconds=4.0))
    assert partials.blur_cents[inside(partials)].max() < 0.02
    assert partials.damping[inside(partials)].max() < 1e-3


def test_a_tone_in_the_same_bins_blurs_another() -> None:
    partials = heard(two(tones.sine(440.0, seconds=4.0), tones.sine(443.0, seconds=4.0, level=0.1)))
    assert np.median(partials.blur_cents[inside(partials)]) > 1.0


def test_a_tone_that_dies_away_is_damped() -> None:
    decay = np.exp(-np.arange(4 * RATE) / (0.3 * RATE))
    partials = heard((tones.sine(440.0, seconds=4.0) * decay).astype(np.float32))
    early = partials.damping[(partials.frame > 1) & (partials.frame < 12) & (abs(partials.hz - 440.0) < 2.0)]
    assert early.size > 5
    assert early.min() > 0.1


@pytest.mark.parametrize("under_db", [6.0, 20.0, 40.0])
def test_levels_are_those_of_the_sines_but_for_the_windows_scallop(under_db: float) -> None:
    """A Hann window shows a sine between two bins up to 1.4 dB too low."""
    quiet = tones.sine(1000.0, seconds=4.0, level=0.3 * 10 ** (-under_db / 20))
    partials = heard(two(tones.sine(300.0, seconds=4.0), quiet))
    levels = [partials.level_db[inside(partials) & (abs(partials.hz - hz) < 1.0)] for hz in (300.0, 1000.0)]
    assert all(level.size == partials.frames - 4 for level in levels)
    assert np.median(levels[0]) - np.median(levels[1]) == pytest.approx(under_db, abs=1.5)


def test_peaks_come_frame_by_frame_and_from_low_to_high() -> None:
    partials = heard(tones.harmonic(220.0, seconds=8.0))
    assert partials.frames > 2 * CHUNK
    assert np.unique(partials.frame).tolist() == list(range(partials.frames))
    order = np.lexsort((partials.hz, partials.frame))
    assert order.tolist() == list(range(partials.hz.size))


def test_frames_are_counted_in_seconds() -> None:
    click = np.zeros(8 * RATE, np.float32)
    click[5 * RATE : 6 * RATE] = tones.sine(440.0, seconds=1.0)
    partials = heard(click)
    loud = partials.frame[partials.level_db > -20.0] * partials.hop_seconds
    assert loud.min() == pytest.approx(5.0 - 0.37 / 2, abs=0.2)
    assert loud.max() == pytest.approx(6.0 - 0.37 / 2, abs=0.2)
    assert partials.frames * partials.hop_seconds == pytest.approx(8.0, abs=0.4)


def test_noise_has_few_peaks_that_stand_out() -> None:
    partials = heard(tones.noise(seconds=4.0))
    assert partials.hz.size < 0.01 * partials.frames * partials.mean_power.size


def test_rumble_and_whistles_that_tell_no_note_are_left_out() -> None:
    partials = heard(two(tones.sine(20.0, seconds=2.0), tones.sine(5100.0, seconds=2.0)))
    assert partials.hz[inside(partials)].size == 0
    partials = heard(tones.noise(seconds=4.0))
    assert partials.hz.min() > LOWEST_HZ - 2 * partials.bin_hz
    assert partials.hz.max() < HIGHEST_HZ + 2 * partials.bin_hz


def test_the_mean_spectrum_shows_a_sine_where_it_is() -> None:
    partials = heard(tones.sine(1000.0, seconds=2.0))
    top = (partials.first_bin + int(np.argmax(partials.mean_power))) * partials.bin_hz
    assert top == pytest.approx(1000.0, abs=0.6 * partials.bin_hz)


def test_what_is_shorter_than_a_window_has_no_frames() -> None:
    partials = heard(tones.sine(440.0, seconds=0.3))
    assert (partials.frames, partials.hz.size, partials.frame.size) == (0, 0, 0)
    assert partials.mean_power.max() == 0.0

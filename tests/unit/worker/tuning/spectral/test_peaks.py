"""Peak picking on sines of known frequency and level."""

import numpy as np
import pytest

from tests.support import tones
from tests.support.tones import RATE, Samples
from worker.tuning.spectral.peaks import CHUNK, HIGHEST_HZ, LOWEST_HZ, SpectralPeaks, find_peaks
from worker.tuning.spectral.resample import resample


def peaks_of(samples: Samples, *, window_seconds: float = 0.37, rate: int = RATE) -> SpectralPeaks:
    return find_peaks(resample(samples, rate), window_seconds=window_seconds, overlap=4)


def inner(peaks: SpectralPeaks) -> np.ndarray:
    """Peaks of frames away from the ends of the recording."""
    return (peaks.frame > 1) & (peaks.frame < peaks.frame_count - 2)


def two(first: Samples, second: Samples) -> Samples:
    return np.asarray(first + second, np.float32)


@pytest.mark.parametrize("hz", [55.0, 110.3, 440.0, 1234.5, 4321.0])
@pytest.mark.parametrize("window_seconds", [0.37, 0.74])
def test_a_sine_is_found_at_its_frequency(hz: float, window_seconds: float) -> None:
    peaks = peaks_of(tones.sine(hz, seconds=4.0), window_seconds=window_seconds)
    found = peaks.hz[inner(peaks)]
    assert found.size == peaks.frame_count - 4
    assert 1200.0 * np.log2(found / hz) == pytest.approx(np.zeros(found.size), abs=0.02)


def test_a_steady_sine_has_no_frequency_error_and_no_damping() -> None:
    peaks = peaks_of(tones.sine(441.7, seconds=4.0))
    assert peaks.frequency_error_cents[inner(peaks)].max() < 0.02
    assert peaks.damping[inner(peaks)].max() < 1e-3


def test_a_second_tone_in_the_same_bins_increases_the_frequency_error() -> None:
    peaks = peaks_of(two(tones.sine(440.0, seconds=4.0), tones.sine(443.0, seconds=4.0, level=0.1)))
    assert np.median(peaks.frequency_error_cents[inner(peaks)]) > 1.0


def test_a_decaying_tone_has_damping() -> None:
    decay = np.exp(-np.arange(4 * RATE) / (0.3 * RATE))
    peaks = peaks_of((tones.sine(440.0, seconds=4.0) * decay).astype(np.float32))
    early = peaks.damping[(peaks.frame > 1) & (peaks.frame < 12) & (abs(peaks.hz - 440.0) < 2.0)]
    assert early.size > 5
    assert early.min() > 0.1


@pytest.mark.parametrize("under_db", [6.0, 20.0, 40.0])
def test_levels_are_correct_within_scalloping_loss(under_db: float) -> None:
    """A Hann window shows a sine between two bins up to 1.4 dB too low."""
    quiet = tones.sine(1000.0, seconds=4.0, level=0.3 * 10 ** (-under_db / 20))
    peaks = peaks_of(two(tones.sine(300.0, seconds=4.0), quiet))
    levels = [peaks.level_db[inner(peaks) & (abs(peaks.hz - hz) < 1.0)] for hz in (300.0, 1000.0)]
    assert all(level.size == peaks.frame_count - 4 for level in levels)
    assert np.median(levels[0]) - np.median(levels[1]) == pytest.approx(under_db, abs=1.5)


def test_peaks_are_ordered_by_frame_and_frequency() -> None:
    peaks = peaks_of(tones.harmonic(220.0, seconds=8.0))
    assert peaks.frame_count > 2 * CHUNK
    assert np.unique(peaks.frame).tolist() == list(range(peaks.frame_count))
    order = np.lexsort((peaks.hz, peaks.frame))
    assert order.tolist() == list(range(peaks.hz.size))


def test_frame_times_are_correct() -> None:
    click = np.zeros(8 * RATE, np.float32)
    click[5 * RATE : 6 * RATE] = tones.sine(440.0, seconds=1.0)
    peaks = peaks_of(click)
    loud = peaks.frame[peaks.level_db > -20.0] * peaks.hop_seconds
    assert loud.min() == pytest.approx(5.0 - 0.37 / 2, abs=0.2)
    assert loud.max() == pytest.approx(6.0 - 0.37 / 2, abs=0.2)
    assert peaks.frame_count * peaks.hop_seconds == pytest.approx(8.0, abs=0.4)


def test_noise_has_few_prominent_peaks() -> None:
    peaks = peaks_of(tones.noise(seconds=4.0))
    assert peaks.hz.size < 0.01 * peaks.frame_count * peaks.power_spectrum.size


def test_peaks_outside_the_band_are_ignored() -> None:
    peaks = peaks_of(two(tones.sine(20.0, seconds=2.0), tones.sine(5100.0, seconds=2.0)))
    assert peaks.hz[inner(peaks)].size == 0
    peaks = peaks_of(tones.noise(seconds=4.0))
    assert peaks.hz.min() > LOWEST_HZ - 2 * peaks.bin_hz
    assert peaks.hz.max() < HIGHEST_HZ + 2 * peaks.bin_hz


def test_the_power_spectrum_has_its_maximum_at_the_sine() -> None:
    peaks = peaks_of(tones.sine(1000.0, seconds=2.0))
    top = (peaks.first_bin + int(np.argmax(peaks.power_spectrum))) * peaks.bin_hz
    assert top == pytest.approx(1000.0, abs=0.6 * peaks.bin_hz)


def test_samples_shorter_than_a_window_have_no_frames() -> None:
    peaks = peaks_of(tones.sine(440.0, seconds=0.3))
    assert (peaks.frame_count, peaks.hz.size, peaks.frame.size) == (0, 0, 0)
    assert peaks.power_spectrum.max() == 0.0

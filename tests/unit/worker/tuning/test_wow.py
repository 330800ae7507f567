"""Wow: all tones move together, and the estimate is that of the mean speed."""

import math

import numpy as np
import pytest

from tests.support import tones
from tests.support.tones import RATE, Samples
from worker.tuning.estimator import estimate_tuning
from worker.tuning.spectral.peaks import find_peaks
from worker.tuning.spectral.resample import resample
from worker.tuning.wow import Wow, find_wow


def with_wow(samples: Samples, *, depth_cents: float, rate_hz: float) -> Samples:
    """The samples, played at a speed that changes by ± `depth_cents`."""
    seconds = np.arange(samples.size) / RATE
    speed = 2.0 ** (depth_cents * np.sin(2 * math.pi * rate_hz * seconds + 0.4) / 1200.0)
    position = np.cumsum(speed)
    return np.interp(position, np.arange(samples.size), samples).astype(np.float32)


def wow_of(samples: Samples) -> Wow | None:
    return find_wow(find_peaks(resample(samples, RATE), window_seconds=0.37, overlap=4))


@pytest.mark.parametrize(
    ("depth_cents", "rate_hz"), [(20.0, 0.5556), (12.0, 0.75), (8.0, 1.3), (30.0, 0.5556)]
)
def test_music_with_wow_is_measured_at_its_mean_speed(depth_cents: float, rate_hz: float) -> None:
    song = with_wow(tones.chorus(437.0, seconds=40), depth_cents=depth_cents, rate_hz=rate_hz)
    report = estimate_tuning(song, RATE)
    assert report.reason is None
    assert report.a4_hz == pytest.approx(437.0, abs=0.3)
    assert report.wow_rate_hz == pytest.approx(rate_hz, abs=0.005)
    assert report.wow_depth_cents == pytest.approx(depth_cents, rel=0.2)
    assert "wow" in report.remarks


def test_the_speed_curve_follows_the_speed() -> None:
    song = with_wow(tones.chorus(437.0, seconds=20), depth_cents=20.0, rate_hz=0.5556)
    curve = np.asarray(estimate_tuning(song, RATE).wow_cents)
    speed = 20.0 * np.sin(2 * math.pi * 0.5556 * (np.arange(100) + 0.5) / 10.0 + 0.4)
    assert curve.shape == (100,)
    assert np.sqrt(np.mean((curve - speed) ** 2)) < 4.0


def test_deeper_wow_widens_the_interval() -> None:
    song = tones.chorus(437.0, seconds=30)
    deep = estimate_tuning(with_wow(song, depth_cents=25.0, rate_hz=0.5556), RATE)
    steady = estimate_tuning(song, RATE)
    assert (deep.uncertainty_cents or 0.0) > (steady.uncertainty_cents or 0.0)


@pytest.mark.parametrize(
    "samples",
    [
        tones.chorus(437.0, seconds=30),
        tones.melody(437.0, seconds=30, vibrato_cents=40),
        tones.melody(437.0, seconds=30, bend=lambda second: -second / 3),
        tones.drums(seconds=30),
        tones.speech(seconds=30),
        tones.sweep(seconds=30),
        tones.siren(500, 900, per_second=0.5, seconds=30),
        tones.noise(seconds=30),
    ],
    ids=["music", "vibrato", "sinking", "drums", "speech", "sweep", "siren", "noise"],
)
def test_other_recordings_have_no_wow(samples: Samples) -> None:
    assert wow_of(samples) is None


def test_a_few_seconds_are_too_short_for_wow() -> None:
    song = with_wow(tones.chorus(437.0, seconds=6), depth_cents=20.0, rate_hz=0.5556)
    assert wow_of(song) is None


def test_recordings_without_peaks_have_no_wow() -> None:
    assert wow_of(np.full(20 * RATE, 0.1, np.float32)) is None


@pytest.mark.parametrize("seed", range(4))
def test_a_beating_bowl_has_no_wow(seed: int) -> None:
    report = estimate_tuning(tones.bowl(180.0 * 1.23**seed, seed=seed), RATE)
    assert report.wow_rate_hz is None
    assert report.wow_cents == ()

"""The estimator on synthetic recordings with an exactly known tuning."""

import math
import warnings
from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.report import Reason, TuningReport, Verdict
from tests.support import tones
from tests.support.tones import RATE, Samples
from worker.tuning.estimator import estimate_tuning


def off(report: TuningReport, a4_hz: float) -> float:
    """Error in cents, modulo a semitone."""
    assert report.a4_hz is not None
    return (1200 * math.log2(report.a4_hz / a4_hz) + 50) % 100 - 50


@pytest.mark.parametrize("make", [tones.sine, tones.harmonic])
def test_a_two_minute_432_hz_tone_is_432(make: Callable[..., Samples]) -> None:
    report = estimate_tuning(make(432.0, seconds=120, rate=44100), 44100)
    assert report.verdict is Verdict.A432
    assert report.a4_hz == pytest.approx(432.0, abs=0.05)


def test_a_sine_has_the_pure_tone_remark() -> None:
    assert "pure_tone" in estimate_tuning(tones.sine(440.0), RATE).remarks


def test_a_decaying_tuning_fork_keeps_its_pitch() -> None:
    decay = np.exp(-np.arange(20 * RATE) / (6 * RATE))
    report = estimate_tuning((tones.sine(440.0, seconds=20) * decay).astype(np.float32), RATE)
    assert report.verdict is Verdict.A440
    assert report.dominant_note == "A4"
    assert report.dominant_hz == pytest.approx(440.0, abs=0.05)


@pytest.mark.parametrize(
    ("a4_hz", "verdict"),
    [(432.0, Verdict.A432), (440.0, Verdict.A440), (436.0, Verdict.OTHER), (443.0, Verdict.OTHER)],
)
def test_a_melody_has_the_verdict_of_its_a(a4_hz: float, verdict: Verdict) -> None:
    report = estimate_tuning(tones.chorus(a4_hz), RATE)
    assert report.verdict is verdict
    assert abs(off(report, a4_hz)) < 0.4
    assert report.confidence > 0.9


@pytest.mark.parametrize("cents", [10, 20, 30, 50])
def test_vibrato_does_not_bias_the_estimate(cents: float) -> None:
    line = tones.melody(436.5, vibrato_cents=cents, note_seconds=1.5, seconds=30)
    assert abs(off(estimate_tuning(line, RATE), 436.5)) < 1.0


def test_stiff_strings_are_measured_at_their_fundamentals() -> None:
    assert abs(off(estimate_tuning(tones.melody(440.0, stretch=4e-4), RATE), 440.0)) < 1.0


def test_a_struck_string_is_measured_after_its_attack() -> None:
    """A hard stroke starts a few cents sharp, and the attack is most of a short note."""
    report = estimate_tuning(tones.struck(440.0, sharp_cents=10.0), RATE)
    assert report.deviation_440_cents == pytest.approx(0.0, abs=0.8)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100, 48000, 96000])
def test_any_sample_rate_gives_the_same_tuning(rate: int) -> None:
    report = estimate_tuning(tones.melody(436.0, rate=rate, seconds=8), rate)
    assert abs(off(report, 436.0)) < 0.6


@pytest.mark.parametrize("seconds", [0.5, 1.0, 5.0])
def test_short_recordings_have_a_tuning_too(seconds: float) -> None:
    line = tones.melody(436.0, note_seconds=0.25, seconds=seconds)
    assert abs(off(estimate_tuning(line, RATE), 436.0)) < 2.0


@pytest.mark.parametrize(("kind", "hz"), [("lowpass", 400.0), ("highpass", 1500.0)])
def test_a_narrow_band_is_enough(kind: Literal["lowpass", "highpass"], hz: float) -> None:
    band = scipy.signal.butter(6, hz, kind, fs=RATE, output="sos")
    samples = scipy.signal.sosfilt(band, tones.chorus(436.0)).astype(np.float32)
    assert abs(off(estimate_tuning(samples, RATE), 436.0)) < 1.5


def test_clipping_noise_dc_and_tremolo_have_little_influence() -> None:
    clean = tones.chorus(436.0, seconds=12)
    time = np.arange(clean.size) / RATE
    for worse in (
        np.clip(20 * clean, -1, 1),
        clean + tones.noise(seconds=12, level=0.05),
        clean + np.float32(0.5),
        (clean * (1 + 0.8 * np.sin(2 * np.pi * 6 * time))).astype(np.float32),
    ):
        assert abs(off(estimate_tuning(worse, RATE), 436.0)) < 0.7


def test_clipping_has_a_remark() -> None:
    assert "clipped" in estimate_tuning(np.clip(20 * tones.chorus(436.0), -1, 1), RATE).remarks


@pytest.mark.parametrize(
    "make", [tones.noise, tones.drums, tones.speech, tones.sweep], ids=lambda make: make.__name__
)
def test_non_music_has_no_tuning(make: Callable[[], Samples]) -> None:
    report = estimate_tuning(make(), RATE)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reason in (Reason.NOISE_LIKE, Reason.NO_STABLE_PITCH)
    assert report.confidence < 0.5


@pytest.mark.parametrize("steps", [5, 7, 17, 22, 24, 31])
def test_other_scales_have_no_tempered_tuning(steps: int) -> None:
    report = estimate_tuning(tones.melody(440.0, notes=tones.scale_of(steps), seconds=40), RATE)
    assert report.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("seed", range(8))
def test_a_repeated_drum_has_no_tuning(seed: int) -> None:
    assert estimate_tuning(tones.tom(seed=seed), RATE).reason is not None


@pytest.mark.parametrize("per_second", [3.0, 3.7, 4.9, 5.5, 6.3, 8.0])
def test_chirps_have_no_tuning(per_second: float) -> None:
    assert estimate_tuning(tones.chirps(per_second=per_second), RATE).reason is not None


def test_seven_random_pitches_have_low_confidence() -> None:
    confidences = []
    for seed in range(8):
        random = np.random.default_rng(seed)
        scale = random.uniform(0, 1200, 7)
        report = estimate_tuning(tones.melody(440.0, notes=list(random.choice(scale, 40))), RATE)
        if report.reason is None:
            confidences.append(report.confidence)
    assert len(confidences) <= 2
    assert max(confidences, default=0.0) < 0.5


def test_a_fast_melody_is_found_under_clanging_metal_without_a_tuning() -> None:
    metal = tones.clang()
    melody = 0.3 * tones.melody(437.0, seconds=40, note_seconds=0.15)
    assert estimate_tuning(metal, RATE).reason is not None
    report = estimate_tuning(melody + metal, RATE)
    assert report.confidence > 0.8
    assert abs(off(report, 437.0)) < 2.0


@pytest.mark.parametrize(
    ("low", "high", "per_second"), [(607, 926, 2.87), (507, 880, 0.75), (426, 921, 2.12)]
)
def test_a_siren_is_not_tuned_to_its_turning_points(low: float, high: float, per_second: float) -> None:
    report = estimate_tuning(tones.siren(low, high, per_second=per_second), RATE)
    assert report.reason is not None
    assert report.confidence < 0.3


def test_a_piece_that_moves_from_440_to_432_has_no_single_tuning() -> None:
    halves = [tones.chorus(440.0, seconds=30), tones.chorus(432.0, seconds=30)]
    report = estimate_tuning(np.concatenate(halves), RATE)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reason is Reason.TUNING_DRIFTS
    assert "tuning_moves" in report.remarks


def test_a_sinking_choir_has_low_confidence() -> None:
    sinking = tones.melody(440.0, seconds=60, bend=lambda second: -second)
    report = estimate_tuning(sinking, RATE)
    assert report.confidence < 0.5
    assert report.reason is Reason.TUNING_DRIFTS


def holds(report: TuningReport, cents: float) -> bool:
    """Whether the interval covers a tuning `cents` from 440 Hz."""
    assert report.deviation_440_cents is not None
    assert report.uncertainty_cents is not None
    return abs(report.deviation_440_cents - cents) <= report.uncertainty_cents


def test_the_interval_covers_both_tunings_of_two_groups_of_notes() -> None:
    """Four strings of an instrument and three that are 5 cents sharp: either group may be right."""
    notes = [0.0, 200.0, 400.0, 505.0, 705.0, 905.0, 1105.0]
    report = estimate_tuning(tones.melody(440.0, notes=notes, seconds=10), RATE)
    assert holds(report, 0.0)
    assert holds(report, 5.0)
    assert report.confidence < 0.8


def test_the_interval_covers_the_tunings_of_both_halves() -> None:
    notes = [0.0, 200.0, 400.0, 500.0, 700.0, 900.0, 1100.0]
    line = tones.melody(440.0, notes=notes, seconds=40, bend=lambda second: 5.0 * (second >= 20))
    report = estimate_tuning(line, RATE)
    assert holds(report, 0.0)
    assert holds(report, 5.0)
    assert report.confidence < 0.8


@pytest.mark.parametrize("share", [0.12, 0.08])
def test_a_little_music_in_digital_silence_is_conclusive(share: float) -> None:
    line = tones.chorus(437.0, seconds=5)
    report = estimate_tuning(np.concatenate([line, np.zeros(int(line.size / share), np.float32)]), RATE)
    assert report.reason is None
    assert abs(off(report, 437.0)) < 0.5


def test_silence_and_clicks_have_their_reasons() -> None:
    assert estimate_tuning(np.zeros(RATE, np.float32), RATE).reason is Reason.SILENT
    assert estimate_tuning(np.zeros(0, np.float32), RATE).reason is Reason.TOO_SHORT
    assert estimate_tuning(np.ones(100, np.float32), RATE).reason is Reason.TOO_SHORT


BROKEN = [np.nan, np.inf, -np.inf, 1e30, -3.4e38, 1e-42, 0.0, 1.0]


@pytest.mark.parametrize("value", BROKEN)
@pytest.mark.parametrize("rate", [1000, 44100, 384000])
def test_broken_samples_never_raise_or_warn(value: float, rate: int) -> None:
    constant = np.full(rate, value, np.float32)
    sprinkled = tones.sine(432.0, seconds=2, rate=rate)
    sprinkled[:: rate // 3] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert estimate_tuning(constant, rate).verdict is Verdict.INCONCLUSIVE
        estimate_tuning(sprinkled, rate)


def test_a_few_broken_samples_do_not_change_the_answer() -> None:
    line = tones.chorus(436.0)
    line[1000 : 1000 + 5] = (np.nan, np.inf, 1e30, -np.inf, np.nan)
    assert abs(off(estimate_tuning(line, RATE), 436.0)) < 0.4


def test_the_samples_are_not_modified() -> None:
    line = tones.melody(436.0, seconds=3)
    before = line.copy()
    estimate_tuning(line, RATE)
    np.testing.assert_array_equal(line, before)


def test_a_conclusive_report_is_complete() -> None:
    report = estimate_tuning(tones.chorus(432.0), RATE)
    assert report.reason is None
    assert report.nearest_standard_hz == 432.0
    assert report.also_fits_hz == pytest.approx((407.75, 457.69), abs=0.3)
    assert report.deviation_432_cents == pytest.approx(0, abs=0.5)
    assert report.deviation_440_cents == pytest.approx(-31.77, abs=0.5)
    assert len(report.histogram) == 100
    assert sum(report.histogram) == pytest.approx(1.0, abs=1e-3)
    assert report.spectrum is not None
    assert len(report.spectrum.levels_db) <= 512
    assert max(report.spectrum.levels_db) == 0.0
    assert len(report.drift_cents) == 2


small = settings(max_examples=12, deadline=None, derandomize=True)


@given(st.floats(-60, 40))
@small
def test_loudness_does_not_matter(decibels: float) -> None:
    line = tones.melody(437.0, seconds=4)
    louder = (line * 10 ** (decibels / 20)).astype(np.float32)
    assert off(estimate_tuning(louder, RATE), 437.0) == pytest.approx(
        off(estimate_tuning(line, RATE), 437.0), abs=0.02
    )


@given(st.integers(20500, 23500))
@small
def test_the_estimate_follows_the_playback_speed(rate: int) -> None:
    line = tones.melody(437.0, seconds=6)
    true = 437.0 * rate / RATE
    assert abs(off(estimate_tuning(line, rate), true)) < 0.6


@given(st.floats(0, 6), st.floats(0, 6))
@small
def test_silence_around_the_music_does_not_matter(before: float, after: float) -> None:
    line = tones.chorus(437.0, seconds=8)
    padded = np.concatenate(
        [np.zeros(int(before * RATE), np.float32), line, np.zeros(int(after * RATE), np.float32)]
    )
    report = estimate_tuning(padded, RATE)
    assert report.reason is None
    assert off(report, 437.0) == pytest.approx(off(estimate_tuning(line, RATE), 437.0), abs=0.3)


@given(st.integers(0, 2**32 - 1), st.integers(1000, 50000))
@small
def test_the_same_input_gives_the_same_report(seed: int, rate: int) -> None:
    random = np.random.default_rng(seed)
    samples: Samples = random.standard_normal(int(1.5 * rate)).astype(np.float32)
    assert estimate_tuning(samples, rate) == estimate_tuning(samples.copy(), rate)


def test_the_same_music_gives_the_same_report() -> None:
    line = tones.melody(437.0)
    assert estimate_tuning(line, RATE) == estimate_tuning(line.copy(), RATE)


@pytest.mark.parametrize("dither", [0.0, 1.2e-7, 9e-7])
def test_a_song_in_near_silence_is_conclusive(dither: float) -> None:
    """A twelfth of the recording is music, the rest is 24-bit dither."""
    random = np.random.default_rng(8)
    line = tones.melody(436.0, seconds=4.0)
    samples = (dither * (random.random(12 * line.size) - random.random(12 * line.size))).astype(np.float32)
    samples[3 * line.size : 4 * line.size] += line
    report = estimate_tuning(samples, RATE)
    assert report.reason is None
    assert report.a4_hz == pytest.approx(436.0, abs=0.3)

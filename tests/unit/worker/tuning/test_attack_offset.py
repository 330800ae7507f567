import numpy as np
import pytest

from tests.support.peaks import make_peaks
from worker.tuning.attack_offset import estimate_attack_offset
from worker.tuning.grid_fit import fit_grid
from worker.tuning.pitch_histogram import PitchHistogram, make_pitch_histogram
from worker.tuning.spectral.harmonics import match_harmonics

REST_CENTS = 10.0


def struck_notes(*, sharp: tuple[float, ...], frames: int = 10, repeats: int = 4) -> PitchHistogram:
    """Consecutive notes, a semitone apart, that start `sharp` and fall to REST_CENTS."""
    peaks = []
    for stroke in range(repeats * len(sharp)):
        note = stroke % len(sharp)
        for age in range(frames):
            cents = 100.0 * note + REST_CENTS + sharp[note] * np.exp(-age / 1.5)
            peaks.append((stroke * frames + age, cents, -float(age)))
    spectral_peaks = make_peaks(peaks)
    segments = max(1, round(spectral_peaks.frame_count * spectral_peaks.hop_seconds / 10.0))
    return make_pitch_histogram(match_harmonics(spectral_peaks, track_onsets=True), np.zeros(8), segments)


def measure(histogram: PitchHistogram) -> tuple[float, float]:
    """The grid of all tones, and the attack offset."""
    fit = fit_grid(histogram.counts, histogram.sustained)
    assert fit is not None
    return fit.cents, estimate_attack_offset(histogram, fit.cents)


def test_steady_tones_have_no_attack_offset() -> None:
    cents, offset = measure(struck_notes(sharp=(0.0,) * 8))
    assert cents == pytest.approx(REST_CENTS, abs=0.05)
    assert offset == pytest.approx(0.0, abs=1e-6)


def test_tones_with_a_sharp_attack_get_a_negative_offset() -> None:
    cents, offset = measure(struck_notes(sharp=(4.0,) * 8))
    assert cents > REST_CENTS + 0.25
    assert abs(cents + offset - REST_CENTS) < 0.6 * abs(cents - REST_CENTS)


def test_tones_with_a_flat_attack_get_a_positive_offset() -> None:
    cents, offset = measure(struck_notes(sharp=(-4.0,) * 8))
    assert abs(cents + offset - REST_CENTS) < 0.6 * abs(cents - REST_CENTS)


def test_an_offset_that_differs_between_notes_is_shrunk() -> None:
    _, agreed = measure(struck_notes(sharp=(3.0,) * 8))
    _, disputed = measure(struck_notes(sharp=(16.0, -10.0) * 4))
    assert abs(disputed) < 0.5 * abs(agreed)


def test_one_note_or_one_segment_gives_no_offset() -> None:
    assert measure(struck_notes(sharp=(4.0,), repeats=40))[1] == 0.0
    assert measure(struck_notes(sharp=(4.0,) * 8, repeats=1))[1] == 0.0

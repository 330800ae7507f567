import numpy as np
import pytest

from tests.support.peaks import make_peaks
from worker.tuning.grid_fit import attack_offset_of, fit_grid
from worker.tuning.harmonics import read
from worker.tuning.pitch_histogram import PitchHistogram, gather

REST_CENTS = 10.0


def struck(*, sharp: tuple[float, ...], frames: int = 10, repeats: int = 4) -> PitchHistogram:
    """Notes one after the other, a semitone apart, that begin `sharp` and fall to REST_CENTS."""
    peaks = []
    for stroke in range(repeats * len(sharp)):
        note = stroke % len(sharp)
        for age in range(frames):
            cents = 100.0 * note + REST_CENTS + sharp[note] * np.exp(-age / 1.5)
            peaks.append((stroke * frames + age, cents, -float(age)))
    partials = make_peaks(peaks)
    segments = max(1, round(partials.frames * partials.hop_seconds / 10.0))
    return gather(read(partials, strikes=True), np.zeros(8), segments)


def found(heard: PitchHistogram) -> tuple[float, float]:
    """Where all tones lie, and how far they are said to fall."""
    fit = fit_grid(heard.counts, heard.placed)
    assert fit is not None
    return fit.cents, attack_offset_of(heard, fit.cents)


def test_tones_that_stand_still_stay_where_they_are() -> None:
    cents, settling = found(struck(sharp=(0.0,) * 8))
    assert cents == pytest.approx(REST_CENTS, abs=0.05)
    assert settling == pytest.approx(0.0, abs=1e-6)


def test_tones_that_begin_sharp_are_told_where_they_come_to_rest() -> None:
    cents, settling = found(struck(sharp=(4.0,) * 8))
    assert cents > REST_CENTS + 0.25
    assert abs(cents + settling - REST_CENTS) < 0.6 * abs(cents - REST_CENTS)


def test_pipes_that_begin_flat_are_told_as_well() -> None:
    cents, settling = found(struck(sharp=(-4.0,) * 8))
    assert abs(cents + settling - REST_CENTS) < 0.6 * abs(cents - REST_CENTS)


def test_what_the_notes_disagree_on_is_believed_less() -> None:
    _, agreed = found(struck(sharp=(3.0,) * 8))
    _, disputed = found(struck(sharp=(16.0, -10.0) * 4))
    assert abs(disputed) < 0.5 * abs(agreed)


def test_one_note_or_ten_seconds_are_too_little_to_tell() -> None:
    assert found(struck(sharp=(4.0,), repeats=40))[1] == 0.0
    assert found(struck(sharp=(4.0,) * 8, repeats=1))[1] == 0.0

"""Which peaks are tones, how much each counts, and which are one tone that wavers."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.peaks import make_peaks
from worker.tuning.tones import find_tones, steadiness


def cents_of(hz: float) -> float:
    return float(1200.0 * np.log2(hz / 440.0))


def weights(hz: Sequence[float], *, blur_cents: float = 0.0, damping: float = 0.0) -> NDArray[np.float64]:
    """Of tones one after the other; the last is blurred and damped."""
    partials = make_peaks([(frame, cents_of(each)) for frame, each in enumerate(hz)])
    last = np.arange(len(hz)) == len(hz) - 1
    return find_tones(
        replace(partials, blur_cents=blur_cents * last, damping=(damping * last).astype(np.float32))
    ).weight


def test_a_peak_counts_by_how_far_it_stands_out_and_not_by_how_loud_it_is() -> None:
    partials = make_peaks([(0, 0.0, 0.0), (1, 0.0, -40.0), (2, 0.0, -20.0), (3, 0.0, 0.0)])
    partials = replace(partials, prominence_db=np.array([20.0, 20.0, 90.0, 7.0], np.float32))
    assert steadiness(partials).tolist() == [12.0, 12.0, 25.0, 0.0]


def test_reverberation_and_hiss_far_under_the_music_do_not_count() -> None:
    partials = make_peaks([(frame, 0.0, level) for frame, level in enumerate([0.0, 0.0, -44.0, -46.0])])
    assert (steadiness(partials) > 0.0).tolist() == [True, True, True, False]
    assert find_tones(partials).frame.tolist() == [0, 1, 2]


def test_a_peak_that_something_else_blurs_counts_little() -> None:
    clean, blurred = weights([440.0, 440.0], blur_cents=5.0)
    assert blurred < 0.25 * clean
    clean, hardly = weights([440.0, 440.0], blur_cents=0.5)
    assert hardly > 0.9 * clean


def test_the_moment_of_a_stroke_counts_little() -> None:
    lasting, beginning = weights([440.0, 440.0], damping=0.3)
    assert beginning < 0.2 * lasting


def test_low_tones_count_more_but_not_where_their_neighbours_pull_them() -> None:
    treble, middle = weights([880.0, 220.0])
    assert middle == pytest.approx(2.0 * treble)
    middle, bass = weights([100.0, 50.0])
    assert bass < 0.5 * middle


def test_a_voice_with_vibrato_is_heard_at_its_mean_pitch() -> None:
    tones = find_tones(make_peaks([(f, 300.0 + side) for f in range(9) for side in (-45.0, 0.0, 45.0)]))
    assert tones.cents == pytest.approx(np.full(9, 300.0))
    assert tones.lead_share == pytest.approx(1 / 3)
    assert tones.means_agreement == pytest.approx(1.0)


def test_vibrato_that_turns_now_above_and_now_below_is_heard_at_its_mean_pitch() -> None:
    """The strongest peaks hold most of the power, and none of them lies on the note."""
    peaks = []
    for frame in range(10):
        up = 1.0 if frame % 2 else -1.0
        peaks += [(frame, 14.0 * up, 0.0), (frame, -50.0 * up, 10.0 * np.log10(0.28))]
    partials = make_peaks(peaks)
    hardly = np.where(partials.level_db < 0.0, 10.0, 30.0).astype(np.float32)
    tones = find_tones(replace(partials, prominence_db=hardly))
    assert tones.cents == pytest.approx(np.zeros(10), abs=1e-4)
    assert tones.lead_share == pytest.approx(1 / 1.28)


def test_a_detuned_synthesizer_has_the_pitch_of_its_louder_string() -> None:
    tones = find_tones(make_peaks([(f, cents, -cents) for f in range(9) for cents in (0.0, 20.0)]))
    assert tones.cents.tolist() == pytest.approx([0.0, 20.0] * 9)
    assert tones.lead_share > 0.95


def test_two_notes_a_semitone_apart_are_two_even_where_voices_waver() -> None:
    peaks = [(f, note + side) for f in range(9) for note in (0.0, 100.0) for side in (-10.0, 10.0)]
    tones = find_tones(make_peaks(peaks))
    assert tones.lead_share == pytest.approx(0.5)
    assert tones.cents == pytest.approx([0.0, 100.0] * 9)


def test_what_wavers_too_fast_to_have_a_mean_counts_little() -> None:
    clear = find_tones(make_peaks([(f, side) for f in range(9) for side in (-30.0, 30.0)]))
    unclear = find_tones(make_peaks([(f, 30.0 * (f % 2) + side) for f in range(9) for side in (-30.0, 30.0)]))
    assert unclear.means_agreement < 0.7
    assert unclear.weight.mean() == pytest.approx(clear.weight.mean() * unclear.means_agreement**2, rel=0.02)


def test_the_high_overtones_of_a_low_note_are_not_drawn_together_as_a_voice() -> None:
    """From the 25th on they lie closer than two notes ever do."""
    high = [cents_of(110.0 * order) for order in (25, 26, 27)]
    peaks = [(f, cents) for f in range(9) for cents in (-45.0, 0.0, 45.0, *high)]
    assert find_tones(make_peaks(peaks)).cents == pytest.approx(np.zeros(9), abs=1e-6)


def test_one_note_after_another_is_no_vibrato() -> None:
    assert find_tones(make_peaks([(0, 0.0), (1, 30.0)])).cents.tolist() == pytest.approx([0.0, 30.0])


def test_a_tone_is_as_loud_as_its_strongest_peak() -> None:
    tones = find_tones(make_peaks([(0, -40.0, -6.0), (0, 0.0, -3.0), (0, 40.0, -6.0), (1, 0.0, -9.0)]))
    assert tones.level_db.tolist() == [-3.0, -9.0]


def test_nothing_heard_has_no_tones() -> None:
    tones = find_tones(make_peaks([]))
    assert tones.cents.size == 0
    assert steadiness(make_peaks([])).size == 0

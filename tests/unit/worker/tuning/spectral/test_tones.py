"""Weights of peaks, and chains of sidebands that are one tone."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.peaks import make_peaks
from worker.tuning.spectral.tones import find_tones


def cents_of(hz: float) -> float:
    return float(1200.0 * np.log2(hz / 440.0))


def weights(
    hz: Sequence[float], *, frequency_error_cents: float = 0.0, damping: float = 0.0
) -> NDArray[np.float64]:
    """Weights of consecutive tones; the last has a frequency error and damping."""
    partials = make_peaks([(frame, cents_of(each)) for frame, each in enumerate(hz)])
    last = np.arange(len(hz)) == len(hz) - 1
    return find_tones(
        replace(
            partials,
            frequency_error_cents=frequency_error_cents * last,
            damping=(damping * last).astype(np.float32),
        )
    ).weight


def test_salience_depends_on_prominence_and_not_on_level() -> None:
    partials = make_peaks([(0, 0.0, 0.0), (1, 0.0, -40.0), (2, 0.0, -20.0), (3, 0.0, 0.0)])
    partials = replace(partials, prominence_db=np.array([20.0, 20.0, 90.0, 7.0], np.float32))
    assert partials.salience.tolist() == [12.0, 12.0, 25.0, 0.0]


def test_quiet_peaks_have_no_salience() -> None:
    partials = make_peaks([(frame, 0.0, level) for frame, level in enumerate([0.0, 0.0, -44.0, -46.0])])
    assert (partials.salience > 0.0).tolist() == [True, True, True, False]
    assert find_tones(partials).frame.tolist() == [0, 1, 2]


def test_a_peak_with_a_large_frequency_error_has_little_weight() -> None:
    clean, blurred = weights([440.0, 440.0], frequency_error_cents=5.0)
    assert blurred < 0.25 * clean
    clean, hardly = weights([440.0, 440.0], frequency_error_cents=0.5)
    assert hardly > 0.9 * clean


def test_an_onset_has_little_weight() -> None:
    lasting, beginning = weights([440.0, 440.0], damping=0.3)
    assert beginning < 0.2 * lasting


def test_low_tones_have_more_weight_except_in_the_bass() -> None:
    treble, middle = weights([880.0, 220.0])
    assert middle == pytest.approx(2.0 * treble)
    middle, bass = weights([100.0, 50.0])
    assert bass < 0.5 * middle


def test_a_voice_with_vibrato_has_its_mean_pitch() -> None:
    tones = find_tones(make_peaks([(f, 300.0 + side) for f in range(9) for side in (-45.0, 0.0, 45.0)]))
    assert tones.cents == pytest.approx(np.full(9, 300.0))
    assert tones.peak_power_share == pytest.approx(1 / 3)
    assert tones.centroid_resultant == pytest.approx(1.0)


def test_alternating_vibrato_has_its_mean_pitch() -> None:
    """The strongest peaks have most of the power, and none lies on the note."""
    peaks = []
    for frame in range(10):
        up = 1.0 if frame % 2 else -1.0
        peaks += [(frame, 14.0 * up, 0.0), (frame, -50.0 * up, 10.0 * np.log10(0.28))]
    partials = make_peaks(peaks)
    hardly = np.where(partials.level_db < 0.0, 10.0, 30.0).astype(np.float32)
    tones = find_tones(replace(partials, prominence_db=hardly))
    assert tones.cents == pytest.approx(np.zeros(10), abs=1e-4)
    assert tones.peak_power_share == pytest.approx(1 / 1.28)


def test_a_detuned_synthesizer_keeps_its_single_peaks() -> None:
    tones = find_tones(make_peaks([(f, cents, -cents) for f in range(9) for cents in (0.0, 20.0)]))
    assert tones.cents.tolist() == pytest.approx([0.0, 20.0] * 9)
    assert tones.peak_power_share > 0.95


def test_two_notes_a_semitone_apart_stay_separate_with_vibrato() -> None:
    peaks = [(f, note + side) for f in range(9) for note in (0.0, 100.0) for side in (-10.0, 10.0)]
    tones = find_tones(make_peaks(peaks))
    assert tones.peak_power_share == pytest.approx(0.5)
    assert tones.cents == pytest.approx([0.0, 100.0] * 9)


def test_centroids_that_move_have_little_weight() -> None:
    clear = find_tones(make_peaks([(f, side) for f in range(9) for side in (-30.0, 30.0)]))
    unclear = find_tones(make_peaks([(f, 30.0 * (f % 2) + side) for f in range(9) for side in (-30.0, 30.0)]))
    assert unclear.centroid_resultant < 0.7
    assert unclear.weight.mean() == pytest.approx(
        clear.weight.mean() * unclear.centroid_resultant**2, rel=0.02
    )


def test_high_partials_of_a_low_note_are_not_a_chain() -> None:
    """Above the 25th, partials are closer than any two notes."""
    high = [cents_of(110.0 * order) for order in (25, 26, 27)]
    peaks = [(f, cents) for f in range(9) for cents in (-45.0, 0.0, 45.0, *high)]
    assert find_tones(make_peaks(peaks)).cents == pytest.approx(np.zeros(9), abs=1e-6)


def test_consecutive_notes_are_not_a_chain() -> None:
    assert find_tones(make_peaks([(0, 0.0), (1, 30.0)])).cents.tolist() == pytest.approx([0.0, 30.0])


def test_a_tone_has_the_level_of_its_strongest_peak() -> None:
    tones = find_tones(make_peaks([(0, -40.0, -6.0), (0, 0.0, -3.0), (0, 40.0, -6.0), (1, 0.0, -9.0)]))
    assert tones.level_db.tolist() == [-3.0, -9.0]


def test_no_peaks_have_no_tones() -> None:
    tones = find_tones(make_peaks([]))
    assert tones.cents.size == 0
    assert make_peaks([]).salience.size == 0

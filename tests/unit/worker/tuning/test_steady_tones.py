"""Steady tones with harmonics: music has them on one grid, drums and gliding voices have none."""

import math

import numpy as np
import pytest

from tests.support import tones
from tests.support.peaks import make_peaks
from tests.support.tones import RATE, Samples
from worker.tuning.spectral.peak_table import LOWEST_CENTS
from worker.tuning.spectral.peaks import HIGHEST_HZ, find_peaks
from worker.tuning.spectral.resample import resample
from worker.tuning.steady_tones import CHUNK, SteadyTones, find_steady_tones
from worker.tuning.temperaments import MOVABLE, Temperament


def steady_tones(samples: Samples) -> SteadyTones:
    return find_steady_tones(find_peaks(resample(samples, RATE), window_seconds=0.37, overlap=4))


def count_steady(root_cents: float = 0.0, *, glide_cents: float = 0.0, detune_cents: float = 0.0) -> int:
    """The number of steady tones in ten frames of one tone; `detune_cents` detunes its partials."""
    return find_steady_tones(
        make_peaks(
            [
                (
                    frame,
                    root_cents + glide_cents * frame + 1200.0 * math.log2(order) + (order > 1) * detune_cents,
                )
                for frame in range(10)
                for order in range(1, 5)
            ]
        )
    ).cents.size


def test_the_notes_of_a_melody_agree_on_any_grid() -> None:
    for a4_hz in (440.0, 432.0, 427.0):
        assert steady_tones(tones.melody(a4_hz)).rayleigh() > 5.0


def test_harmonics_of_any_order_are_accepted() -> None:
    time = np.arange(10 * RATE) / RATE
    hollow = np.sum([np.sin(2 * math.pi * 330 * h * time) / h for h in (1, 3, 5, 6, 7)], axis=0)
    assert steady_tones(np.asarray(0.1 * hollow, np.float32)).cents.size > 50


def test_a_steady_tone_continues_in_the_next_frame() -> None:
    assert count_steady() == 9


def test_a_high_fundamental_is_accepted() -> None:
    """Its fourth partial lies just inside the analysed band."""
    assert count_steady(1500.0) == 9


def test_wow_may_have_moved_a_peak_out_of_the_analysed_band() -> None:
    highest = 1200.0 * math.log2(HIGHEST_HZ / 440.0)
    above = [(frame, highest + 60.0) for frame in range(CHUNK + 2)]
    below = [(frame, LOWEST_CENTS - 60.0) for frame in range(CHUNK + 2)]
    assert find_steady_tones(make_peaks([*above, *below])).cents.size == 0


def test_a_glide_is_not_steady() -> None:
    assert count_steady(glide_cents=2.0) == 9
    assert count_steady(glide_cents=8.0) == 0
    assert count_steady(glide_cents=-8.0) == 0


def test_stretched_harmonics_are_accepted_and_drum_modes_are_not() -> None:
    assert count_steady(detune_cents=8.0) == 9
    assert count_steady(detune_cents=16.0) == 0
    assert count_steady(detune_cents=-16.0) == 0


@pytest.mark.parametrize(
    "samples",
    [tones.drums(), tones.speech(), tones.sweep(), tones.noise(), tones.tom(seed=2), tones.sine(440.0)],
    ids=["drums", "speech", "sweep", "noise", "one tom", "sine"],
)
def test_non_music_has_few_steady_tones(samples: Samples) -> None:
    assert steady_tones(samples).rayleigh() < 2.5


def test_random_pitches_do_not_agree() -> None:
    random = np.random.default_rng(4)
    counts = [
        steady_tones(tones.melody(440.0, notes=list(random.uniform(0, 1200, 60)))).rayleigh()
        for _ in range(6)
    ]
    assert np.median(counts) < 2.0


def test_a_repeated_note_counts_once() -> None:
    once = SteadyTones(cents=np.array([0.0, 700.0]), weight=np.ones(2))
    often = SteadyTones(cents=np.array([0.0] * 9 + [700.0] * 9), weight=np.ones(18))
    assert once.rayleigh() == pytest.approx(2.0)
    assert often.rayleigh() == pytest.approx(2.0)


def test_notes_a_quarter_tone_apart_agree_and_notes_an_eighth_apart_do_not() -> None:
    """Half a semitone off is the same quarter-tone grid; a quarter of a semitone off is not."""

    def half_of_them_off(cents: float) -> SteadyTones:
        off = [200.0 * note + (cents if note % 2 else 0.0) for note in range(8)]
        return SteadyTones(cents=np.array(off), weight=np.ones(8))

    assert half_of_them_off(50.0).rayleigh() == pytest.approx(8.0)
    assert half_of_them_off(25.0).rayleigh() == pytest.approx(0.0, abs=1e-9)


def test_the_steps_of_a_temperament_count_as_equal() -> None:
    just = MOVABLE["just"] - MOVABLE["just"][0]
    scale = Temperament(name="just", cents_over_a=just, a_cents=-20.0, a_error_cents=0.0)
    notes = SteadyTones(cents=np.concatenate([just - 20.0, just - 1220.0]), weight=np.ones(24))
    assert notes.rayleigh() < 18.0
    assert notes.rayleigh(scale) == pytest.approx(24.0)


def test_no_peaks_have_no_steady_tones() -> None:
    silent = SteadyTones(cents=np.zeros(0), weight=np.zeros(0))
    assert silent.rayleigh() == 0.0
    assert steady_tones(np.zeros(RATE // 2, np.float32) + tones.noise(seconds=0.5)).rayleigh() == 0.0

"""Steady tones with overtones: music has them on one grid, drums and voices that glide have none."""

import math

import numpy as np
import pytest

from tests.support import tones
from tests.support.peaks import make_peaks
from tests.support.tones import RATE, Samples
from worker.tuning.peaks import find_partials
from worker.tuning.resample import low_band
from worker.tuning.steady_tones import SteadyTones, find_steady_tones
from worker.tuning.temperaments import EVERY_KEY, UnequalScale


def heard(samples: Samples) -> SteadyTones:
    return find_steady_tones(find_partials(low_band(samples, RATE), window_seconds=0.37, overlap=4))


def standing(root_cents: float = 0.0, *, glide_cents: float = 0.0, stray_cents: float = 0.0) -> int:
    """How many steady tones ten frames of one tone have; each of its overtones strays from its place."""
    return find_steady_tones(
        make_peaks(
            [
                (
                    frame,
                    root_cents + glide_cents * frame + 1200.0 * math.log2(order) + (order > 1) * stray_cents,
                )
                for frame in range(10)
                for order in range(1, 5)
            ]
        )
    ).cents.size


def test_the_notes_of_a_melody_agree_wherever_its_grid_lies() -> None:
    for a4_hz in (440.0, 432.0, 427.0):
        assert heard(tones.melody(a4_hz)).agreeing() > 5.0


def test_overtones_of_any_order_make_a_note() -> None:
    time = np.arange(10 * RATE) / RATE
    hollow = np.sum([np.sin(2 * math.pi * 330 * h * time) / h for h in (1, 3, 5, 6, 7)], axis=0)
    assert heard(np.asarray(0.1 * hollow, np.float32)).cents.size > 50


def test_a_tone_stands_while_it_is_there_in_the_next_frame_too() -> None:
    assert standing() == 9


def test_a_singers_high_c_counts_as_a_note() -> None:
    """Its fourth partial lies just below what is kept."""
    assert standing(1500.0) == 9


def test_a_voice_that_glides_is_no_note() -> None:
    assert standing(glide_cents=2.0) == 9
    assert standing(glide_cents=8.0) == 0
    assert standing(glide_cents=-8.0) == 0


def test_a_pianos_stretched_overtones_make_a_note_and_a_drums_modes_none() -> None:
    assert standing(stray_cents=8.0) == 9
    assert standing(stray_cents=16.0) == 0
    assert standing(stray_cents=-16.0) == 0


@pytest.mark.parametrize(
    "samples",
    [tones.drums(), tones.speech(), tones.sweep(), tones.noise(), tones.tom(seed=2), tones.sine(440.0)],
    ids=["drums", "speech", "sweep", "noise", "one tom", "sine"],
)
def test_what_has_no_steady_overtones_has_hardly_a_note(samples: Samples) -> None:
    assert heard(samples).agreeing() < 2.5


def test_notes_that_lie_anywhere_do_not_agree() -> None:
    random = np.random.default_rng(4)
    counts = [
        heard(tones.melody(440.0, notes=list(random.uniform(0, 1200, 60)))).agreeing() for _ in range(6)
    ]
    assert np.median(counts) < 2.0


def test_a_note_that_sounds_often_is_one_note() -> None:
    once = SteadyTones(cents=np.array([0.0, 700.0]), weight=np.ones(2))
    often = SteadyTones(cents=np.array([0.0] * 9 + [700.0] * 9), weight=np.ones(18))
    assert once.agreeing() == pytest.approx(2.0)
    assert often.agreeing() == pytest.approx(2.0)


def test_notes_a_quarter_tone_apart_agree_and_notes_an_eighth_apart_do_not() -> None:
    """Half a semitone off lies another name of the same grid, a quarter of one off lies none."""

    def half_of_them_off(cents: float) -> SteadyTones:
        off = [200.0 * note + (cents if note % 2 else 0.0) for note in range(8)]
        return SteadyTones(cents=np.array(off), weight=np.ones(8))

    assert half_of_them_off(50.0).agreeing() == pytest.approx(8.0)
    assert half_of_them_off(25.0).agreeing() == pytest.approx(0.0, abs=1e-9)


def test_the_steps_of_an_unequal_scale_count_as_equal() -> None:
    just = EVERY_KEY["just"] - EVERY_KEY["just"][0]
    scale = UnequalScale(name="just", cents_over_a=just, a_cents=-20.0, doubt_cents=0.0)
    notes = SteadyTones(cents=np.concatenate([just - 20.0, just - 1220.0]), weight=np.ones(24))
    assert notes.agreeing() < 18.0
    assert notes.agreeing(scale) == pytest.approx(24.0)


def test_nothing_heard_is_no_note() -> None:
    silent = SteadyTones(cents=np.zeros(0), weight=np.zeros(0))
    assert silent.agreeing() == 0.0
    assert heard(np.zeros(RATE // 2, np.float32) + tones.noise(seconds=0.5)).agreeing() == 0.0

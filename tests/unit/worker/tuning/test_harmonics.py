import pytest

from tests.support.peaks import make_peaks
from worker.tuning.harmonics import read

FIFTH = 1901.955
"""Cents from a tone to its third partial."""


def test_a_tone_alone_is_a_note() -> None:
    readings = read(make_peaks([(0, 0.0)]))
    assert readings.part.tolist() == readings.weight.tolist()
    assert readings.own.tolist() == [1.0]


def test_a_third_partial_is_rather_an_overtone_than_a_note() -> None:
    readings = read(make_peaks([(0, 0.0), (0, FIFTH)]))
    assert readings.roots[2].tolist() == [-1, 0]
    assert readings.own.tolist() == [1.0, 0.25]


def test_an_octave_is_read_as_an_overtone_alone() -> None:
    assert read(make_peaks([(0, 0.0), (0, 1200.0)])).own.tolist() == [1.0, 0.0]


def test_the_readings_of_a_tone_weigh_what_it_weighs() -> None:
    readings = read(make_peaks([(0, -1200.0), (0, 0.0), (0, FIFTH - 1200.0), (0, FIFTH)]))
    orders = (readings.roots >= 0).sum(axis=0) - 1
    assert readings.part * (orders + readings.own) == pytest.approx(readings.weight)


def test_a_tone_settles_while_it_lasts() -> None:
    readings = read(make_peaks([(frame, 0.0) for frame in range(6)]))
    assert readings.settled == pytest.approx([0.1, 1 / 3, 2 / 3, 1.0, 1.0, 1.0])


def test_a_tone_that_is_struck_again_is_settled_but_does_not_last() -> None:
    levels = [0.0, -1.0, -2.0, -3.0, 4.0, 3.0, 2.0]
    readings = read(make_peaks([(frame, 0.0, level) for frame, level in enumerate(levels)]), strikes=True)
    assert readings.settled.tolist()[3:] == [1.0, 1.0, 1.0, 1.0]
    assert readings.lasting == pytest.approx([0.02, 0.2, 0.4, 0.6, 0.02, 0.2, 0.4])


def test_strikes_are_told_only_where_they_are_asked_for() -> None:
    assert read(make_peaks([(0, 0.0)])).lasting is None


def test_nothing_makes_no_readings() -> None:
    readings = read(make_peaks([]))
    assert readings.cents.size == 0
    assert readings.sounding_seconds == 0.0

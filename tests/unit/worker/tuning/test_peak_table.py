import numpy as np

from worker.tuning.peak_table import lay_out


def test_a_peak_finds_the_one_an_octave_below_in_its_own_frame_only() -> None:
    cents = np.array([0.0, 1203.0, 5.0, 2400.0])
    table = lay_out(cents, np.array([0, 0, 1, 1], np.int32), 2)
    assert table.lower(1200.0).tolist() == [-1, 0, -1, -1]


def test_a_third_partial_may_stray_as_far_up_as_down() -> None:
    strays = [-12.0, -6.0, 0.0, 6.0, 12.0]
    for root in range(0, 1200, 7):
        cents = np.array([root, *(root + 1902.0 + stray for stray in strays)])
        assert lay_out(cents, np.zeros(6, np.int32), 1).lower(1902.0).tolist() == [-1, 0, 0, 0, 0, 0], root


def test_a_peak_that_strays_further_than_half_a_quarter_tone_is_another_one() -> None:
    cents = np.array([0.0, 1240.0])
    assert lay_out(cents, np.zeros(2, np.int32), 1).lower(1200.0).tolist() == [-1, -1]


def test_a_tone_grows_old_frame_by_frame_until_it_ends() -> None:
    frames = np.array([0, 1, 2, 3, 5, 6], np.int32)
    cents = np.array([700.0, 702.0, 699.0, 701.0, 700.0, 700.0])
    assert lay_out(cents, frames, 7).age(3).tolist() == [1, 2, 3, 3, 1, 2]


def test_a_tone_that_moves_to_another_note_is_young_again() -> None:
    cents = np.array([700.0, 800.0, 800.0])
    assert lay_out(cents, np.arange(3, dtype=np.int32), 3).age(4).tolist() == [1, 1, 2]


def test_a_tone_that_is_struck_is_young_again() -> None:
    table = lay_out(np.full(5, 700.0), np.arange(5, dtype=np.int32), 5)
    assert table.age(9, np.array([True, False, False, True, False])).tolist() == [1, 2, 3, 1, 2]


def test_no_peaks_make_an_empty_table() -> None:
    table = lay_out(np.zeros(0), np.zeros(0, np.int32), 5)
    assert table.lower(1200.0).size == 0
    assert table.age(4).size == 0

import numpy as np

from worker.tuning.spectral.peak_table import make_peak_table


def test_peak_below_searches_the_same_frame_only() -> None:
    cents = np.array([0.0, 1203.0, 5.0, 2400.0])
    table = make_peak_table(cents, np.array([0, 0, 1, 1], np.int32), 2)
    assert table.peak_below(1200.0).tolist() == [-1, 0, -1, -1]


def test_the_tolerance_of_peak_below_is_symmetric() -> None:
    strays = [-12.0, -6.0, 0.0, 6.0, 12.0]
    for root in range(0, 1200, 7):
        cents = np.array([root, *(root + 1902.0 + stray for stray in strays)])
        assert make_peak_table(cents, np.zeros(6, np.int32), 1).peak_below(1902.0).tolist() == [
            -1,
            0,
            0,
            0,
            0,
            0,
        ], root


def test_a_peak_outside_the_tolerance_is_not_found() -> None:
    cents = np.array([0.0, 1240.0])
    assert make_peak_table(cents, np.zeros(2, np.int32), 1).peak_below(1200.0).tolist() == [-1, -1]


def test_age_counts_consecutive_frames() -> None:
    frames = np.array([0, 1, 2, 3, 5, 6], np.int32)
    cents = np.array([700.0, 702.0, 699.0, 701.0, 700.0, 700.0])
    assert make_peak_table(cents, frames, 7).age(3).tolist() == [1, 2, 3, 3, 1, 2]


def test_age_restarts_at_another_pitch() -> None:
    cents = np.array([700.0, 800.0, 800.0])
    assert make_peak_table(cents, np.arange(3, dtype=np.int32), 3).age(4).tolist() == [1, 1, 2]


def test_age_restarts_at_an_onset() -> None:
    table = make_peak_table(np.full(5, 700.0), np.arange(5, dtype=np.int32), 5)
    assert table.age(9, np.array([True, False, False, True, False])).tolist() == [1, 2, 3, 1, 2]


def test_no_peaks_make_an_empty_table() -> None:
    table = make_peak_table(np.zeros(0), np.zeros(0, np.int32), 5)
    assert table.peak_below(1200.0).size == 0
    assert table.age(4).size == 0

"""Pictures say what the report says."""

import pytest

from api.web import charts as pictures
from shared.domain.report import Spectrum
from tests.support.factories import make_report


def test_the_found_pitch_stands_where_its_cents_are() -> None:
    picture = pictures.histogram(make_report().tuning)
    assert picture is not None
    assert picture.found is not None
    assert picture.found.x == pytest.approx(pictures.WIDTH * (50 - 31.6) / 100)
    assert [mark.label for mark in picture.marks] == ["432", "440", "442"]
    assert picture.marks[1].x == pictures.WIDTH / 2
    assert "-31.6 cents" in picture.text


def test_the_highest_bar_fills_the_picture_and_bars_by_the_answer_stand_out() -> None:
    bins = [0.0] * 100
    bins[18], bins[70] = 0.6, 0.3
    picture = pictures.histogram(make_report(histogram=tuple(bins)).tuning)
    assert picture is not None
    assert [(bar.height, bar.near) for bar in picture.bars] == [(200.0, True), (100.0, False)]


def test_what_lies_across_the_seam_of_the_semitone_is_near() -> None:
    bins = [0.0] * 100
    bins[0] = bins[99] = 0.5
    picture = pictures.histogram(make_report(histogram=tuple(bins), deviation_440_cents=49.0).tuning)
    assert picture is not None
    assert [bar.near for bar in picture.bars] == [True, True]


def test_without_partials_there_is_no_picture() -> None:
    assert pictures.histogram(make_report(histogram=()).tuning) is None
    assert pictures.histogram(make_report(histogram=(0.0,) * 100).tuning) is None
    assert pictures.spectrum(make_report(spectrum=None).tuning) is None


def test_the_dominant_peak_stands_at_its_frequency() -> None:
    heard = Spectrum(low_hz=20.0, high_hz=20_000.0, levels_db=(-90.0, 0.0, -36.0, -72.0))
    picture = pictures.spectrum(make_report(spectrum=heard, dominant_hz=200.0, dominant_note="G#3").tuning)
    assert picture is not None
    assert picture.peak is not None
    assert picture.peak.x == pytest.approx(pictures.WIDTH / 3, abs=0.01)
    assert picture.peak.label == "G♯3 · 200.0 Hz"
    assert picture.line == "M0.0,200.0L213.3,0.0L426.7,100.0L640.0,200.0"

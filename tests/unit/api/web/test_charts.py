"""The charts show the numbers of the report."""

import pytest

from api.web.charts import HEIGHT, WIDTH, drift_chart, histogram_chart, spectrum_chart
from shared.domain.report import Spectrum
from tests.support.factories import make_report


def test_the_detected_pitch_is_marked_at_its_cents() -> None:
    chart = histogram_chart(make_report().tuning)
    assert chart is not None
    assert chart.found is not None
    assert chart.found.x == pytest.approx(WIDTH * (50 - 31.6) / 100)
    assert [mark.label for mark in chart.marks] == ["432", "440", "442"]
    assert chart.marks[1].x == WIDTH / 2
    assert "-31.6 cents" in chart.text


def test_the_highest_bar_fills_the_chart_and_bars_near_the_result_are_highlighted() -> None:
    bins = [0.0] * 100
    bins[18], bins[70] = 0.6, 0.3
    chart = histogram_chart(make_report(histogram=tuple(bins)).tuning)
    assert chart is not None
    assert [(bar.height, bar.is_near) for bar in chart.bars] == [(200.0, True), (100.0, False)]


def test_bars_across_the_semitone_boundary_are_near() -> None:
    bins = [0.0] * 100
    bins[0] = bins[99] = 0.5
    chart = histogram_chart(make_report(histogram=tuple(bins), deviation_440_cents=49.0).tuning)
    assert chart is not None
    assert [bar.is_near for bar in chart.bars] == [True, True]


def test_a_report_without_partials_has_no_charts() -> None:
    assert histogram_chart(make_report(histogram=()).tuning) is None
    assert histogram_chart(make_report(histogram=(0.0,) * 100).tuning) is None
    assert spectrum_chart(make_report(spectrum=None).tuning) is None


def test_the_dominant_peak_is_marked_at_its_frequency() -> None:
    spectrum = Spectrum(low_hz=20.0, high_hz=20_000.0, levels_db=(-90.0, 0.0, -36.0, -72.0))
    chart = spectrum_chart(make_report(spectrum=spectrum, dominant_hz=200.0, dominant_note="G#3").tuning)
    assert chart is not None
    assert chart.peak is not None
    assert chart.peak.x == pytest.approx(WIDTH / 3, abs=0.01)
    assert chart.peak.label == "G♯3 · 200.0 Hz"
    assert chart.line == "M0.0,200.0L213.3,0.0L426.7,100.0L640.0,200.0"


def test_each_band_of_the_spectrum_says_its_strongest_frequency_and_level() -> None:
    levels = (*(-40.0 if number % 4 else -90.0 for number in range(510)), 0.0, -36.2)
    spectrum = Spectrum(low_hz=20.0, high_hz=20_000.0, levels_db=levels)
    chart = spectrum_chart(make_report(spectrum=spectrum).tuning)
    assert chart is not None
    assert len(chart.bands) == 128
    assert (chart.bands[0].x, chart.bands[1].x, chart.bands[1].width) == (0.0, 5.0, 5.0)
    assert chart.bands[0].label == "21 Hz: −40 dB"
    assert chart.bands[-1].label == "19731 Hz: 0 dB"


def test_the_tuning_over_time_has_a_point_for_each_known_part() -> None:
    chart = drift_chart(make_report(drift_cents=(-2.0, None, 4.0)).tuning)
    assert chart is not None
    assert [(point.x, point.y) for point in chart.points] == [(0.0, 120.0), (WIDTH, 60.0)]
    assert chart.title == "Tuning over time"
    assert drift_chart(make_report(drift_cents=(None, 1.0)).tuning) is None


def test_wow_is_drawn_ten_times_a_second() -> None:
    chart = drift_chart(make_report(drift_cents=(0.1, 0.2), wow_cents=(0.0, 20.0, 0.0, -20.0)).tuning)
    assert chart is not None
    assert chart.title == "Speed over ten seconds"
    assert chart.line == f"M0.0,{HEIGHT / 2:.1f}L213.3,0.0L426.7,100.0L{WIDTH:.1f},{HEIGHT:.1f}"
    assert "from -20.0 to +20.0 cents" in chart.text

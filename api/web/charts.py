"""The geometry of a report's charts. Pure: a report in, SVG coordinates out.

The server draws the charts, so they look the same on every page and need no script.
"""

import math
from dataclasses import dataclass

from shared.domain.report import Spectrum, TuningReport, Verdict

WIDTH = 640.0
HEIGHT = 200.0
_MIN_DB = -72.0
_REFERENCE_HZ = (432.0, 440.0, 442.0)
_NEAR_CENTS = 8
_MAX_BANDS = 128
_LEVELS_DB = (-20, -40, -60)
_MIN_DRIFT_CENTS = 10.0
"""A smaller drift is not drawn larger than this."""
_TICKS_HZ = (30, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A labelled vertical line."""

    x: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A labelled horizontal line."""

    y: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A point with a label that is shown on hover."""

    x: float
    y: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftChart:
    """Deviation over time."""

    title: str
    caption: str
    ends: tuple[str, str]
    """Labels of the time axis."""
    line: str
    points: tuple[Point, ...]
    ticks: tuple[Level, ...]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A bin of the histogram."""

    x: float
    y: float
    width: float
    height: float
    label: str
    """Shown on hover."""
    is_near: bool
    """Whether the bin is near the detected tuning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramChart:
    """How far the partials are from the notes of A4 = 440 Hz."""

    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...]
    found: Mark | None
    band_x: float
    band_width: float
    text: str
    """The alternative text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A part of the spectrum. Its label, shown on hover, is the strongest point in it."""

    x: float
    width: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectrumChart:
    """Level over log frequency."""

    bands: tuple[Band, ...]
    line: str
    area: str
    ticks: tuple[Mark, ...]
    levels: tuple[Level, ...]
    """The dB axis."""
    peak: Mark | None
    text: str


def histogram_chart(report: TuningReport) -> HistogramChart | None:
    """The histogram; None if the report has no partials."""
    bins = report.histogram
    if len(bins) == 0 or max(bins) <= 0:
        return None
    top = max(bins)
    width = WIDTH / len(bins)
    cents = None if report.verdict is Verdict.INCONCLUSIVE else report.deviation_440_cents
    bars = tuple(
        Bar(
            x=round(number * width + 0.6, 2),
            y=round(HEIGHT * (1 - value / top), 2),
            width=round(width - 1.2, 2),
            height=round(HEIGHT * value / top, 2),
            label=f"{number - 49.5:+.1f} cents: {100 * value / sum(bins):.1f} %",
            is_near=cents is not None and _distance(number - 49.5, cents) <= _NEAR_CENTS,
        )
        for number, value in enumerate(bins)
        if value / top > 0.004
    )
    found = None
    band_x = band_width = 0.0
    if cents is not None and report.a4_hz is not None:
        found = Mark(x=_x_of_cents(cents), label=f"{report.a4_hz:.1f} Hz")
        half = min(50.0, report.uncertainty_cents or 0.0) / 100 * WIDTH
        band_x, band_width = round(max(0.0, found.x - half), 2), round(2 * half, 2)
    marks = tuple(Mark(x=_x_of_cents(1200 * math.log2(hz / 440.0)), label=f"{hz:g}") for hz in _REFERENCE_HZ)
    result = f" The detected tuning is at {cents:+.1f} cents." if cents is not None else ""
    return HistogramChart(
        bars=bars,
        marks=marks,
        found=found,
        band_x=band_x,
        band_width=band_width,
        text="How far the notes are from those of A4 = 440 Hz, from −50 to +50 cents. 432 Hz is marked at "
        f"−31.8, 442 Hz at +7.9 cents.{result}",
    )


def spectrum_chart(report: TuningReport) -> SpectrumChart | None:
    """The spectrum; None if the report has none."""
    spectrum = report.spectrum
    if spectrum is None or len(spectrum.levels_db) < 2 or not 0 < spectrum.low_hz < spectrum.high_hz:
        return None
    step = WIDTH / (len(spectrum.levels_db) - 1)
    points = [
        f"{number * step:.1f},{HEIGHT * min(1.0, max(0.0, level / _MIN_DB)):.1f}"
        for number, level in enumerate(spectrum.levels_db)
    ]
    peak = None
    text = "The spectrum: low notes on the left, high notes on the right."
    found = report.verdict is not Verdict.INCONCLUSIVE
    if found and report.dominant_hz and spectrum.low_hz <= report.dominant_hz <= spectrum.high_hz:
        note = f"{(report.dominant_note or '').replace('#', '♯')} · {report.dominant_hz:.1f} Hz"
        peak = Mark(x=_x_of_hz(report.dominant_hz, spectrum), label=note.removeprefix(" · "))
        text += f" The strongest tone is {report.dominant_hz:.1f} Hz, near {report.dominant_note}."
    line = "M" + "L".join(points)
    return SpectrumChart(
        bands=_bands(spectrum),
        line=line,
        area=f"{line}L{WIDTH:g},{HEIGHT:g}L0,{HEIGHT:g}Z",
        ticks=tuple(
            Mark(x=_x_of_hz(hz, spectrum), label=f"{hz // 1000}k" if hz >= 1000 else str(hz))
            for hz in _TICKS_HZ
            if spectrum.low_hz <= hz <= spectrum.high_hz
        ),
        levels=tuple(Level(y=round(HEIGHT * db / _MIN_DB, 1), label=_level_text(db)) for db in _LEVELS_DB),
        peak=peak,
        text=text,
    )


def _bands(spectrum: Spectrum) -> tuple[Band, ...]:
    levels = spectrum.levels_db
    size = -(-len(levels) // _MAX_BANDS)
    width = WIDTH / len(levels)
    ratio = (spectrum.high_hz / spectrum.low_hz) ** (1 / (len(levels) - 1))
    bands = []
    for start in range(0, len(levels), size):
        level, number = max(
            (levels[number], number) for number in range(start, min(start + size, len(levels)))
        )
        bands.append(
            Band(
                x=round(start * width, 1),
                width=round(size * width, 1),
                label=f"{spectrum.low_hz * ratio**number:.0f} Hz: {_level_text(level)}",
            )
        )
    return tuple(bands)


def _level_text(db: float) -> str:
    return f"−{-db:.0f} dB" if round(db) < 0 else "0 dB"


def drift_chart(report: TuningReport) -> DriftChart | None:
    """The tuning over time, with wow ten times a second; None if fewer than two parts have one."""
    if report.wow_cents:
        return _wow_chart(report.wow_cents)
    drift = report.drift_cents
    known = [cents for cents in drift if cents is not None]
    if len(known) < 2:
        return None
    top = max(_MIN_DRIFT_CENTS, *(abs(cents) for cents in known))
    step = WIDTH / max(1, len(drift) - 1)
    points = tuple(
        Point(
            x=round(number * step, 1),
            y=round(HEIGHT / 2 * (1 - cents / top), 1),
            label=f"Part {number + 1} of {len(drift)}: {cents:+.1f} cents",
        )
        for number, cents in enumerate(drift)
        if cents is not None
    )
    return DriftChart(
        title="Tuning over time",
        caption="How far each part of the analyzed minute is from the tuning of the whole.",
        ends=("start", "end"),
        line="M" + "L".join(f"{point.x},{point.y}" for point in points),
        points=points,
        ticks=_drift_ticks(top),
        text=f"The tuning over time: from {min(known):+.1f} to {max(known):+.1f} cents around its mean.",
    )


def _wow_chart(wow: tuple[float, ...]) -> DriftChart:
    """The speed of a record player over the first ten seconds."""
    top = max(_MIN_DRIFT_CENTS, *(abs(cents) for cents in wow))
    step = WIDTH / max(1, len(wow) - 1)
    points = (f"{number * step:.1f},{HEIGHT / 2 * (1 - cents / top):.1f}" for number, cents in enumerate(wow))
    return DriftChart(
        title="Speed over ten seconds",
        caption="How far the speed is from its mean, in cents. The tuning above is that of the mean speed.",
        ends=("0 s", "10 s"),
        line="M" + "L".join(points),
        points=(),
        ticks=_drift_ticks(top),
        text=f"The speed over ten seconds: from {min(wow):+.1f} to {max(wow):+.1f} cents around its mean.",
    )


def _drift_ticks(top: float) -> tuple[Level, ...]:
    half = round(top / 2, 1)
    return tuple(
        Level(
            y=round(HEIGHT / 2 * (1 - cents / top), 1),
            label=f"{cents:+g} cents".replace("-", "−") if cents else "0",
        )
        for cents in (half, 0.0, -half)
    )


def _x_of_cents(cents: float) -> float:
    return round((cents + 50.0) / 100.0 * WIDTH, 2)


def _x_of_hz(hz: float, spectrum: Spectrum) -> float:
    return round(math.log(hz / spectrum.low_hz) / math.log(spectrum.high_hz / spectrum.low_hz) * WIDTH, 2)


def _distance(one: float, other: float) -> float:
    """The distance of two deviations, modulo a semitone."""
    return abs((one - other + 50.0) % 100.0 - 50.0)

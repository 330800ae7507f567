"""The geometry of a report's pictures. Pure: a report in, coordinates for an SVG out.

Pictures are drawn by the server, so that they are the same on every page and need no script.
"""

import math
from dataclasses import dataclass

from shared.domain.report import Spectrum, TuningReport, Verdict

WIDTH = 640.0
HEIGHT = 200.0
_DEEPEST_DB = -72.0
_MARKED_HZ = (432.0, 440.0, 442.0)
_TICKS_HZ = (30, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A labelled vertical line."""

    x: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bin."""

    x: float
    y: float
    width: float
    height: float
    near: bool
    """Whether it lies by the tuning found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """How far the partials lie from the grid of A4 = 440 Hz."""

    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...]
    found: Mark | None
    band_x: float
    band_width: float
    text: str
    """The picture in a sentence, for those who can't see it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectrumPicture:
    """Level over log frequency."""

    line: str
    area: str
    ticks: tuple[Mark, ...]
    peak: Mark | None
    text: str


def histogram(report: TuningReport) -> Histogram | None:
    """The tuning as a picture; None where no partial was heard."""
    bins = report.histogram
    if len(bins) == 0 or max(bins) <= 0:
        return None
    top = max(bins)
    width = WIDTH / len(bins)
    at = None if report.verdict is Verdict.INCONCLUSIVE else report.deviation_440_cents
    bars = tuple(
        Bar(
            x=round(number * width + 0.6, 2),
            y=round(HEIGHT * (1 - value / top), 2),
            width=round(width - 1.2, 2),
            height=round(HEIGHT * value / top, 2),
            near=at is not None and _apart(number - 49.5, at) <= 8,
        )
        for number, value in enumerate(bins)
        if value / top > 0.004
    )
    found = None
    band_x = band_width = 0.0
    if at is not None and report.a4_hz is not None:
        found = Mark(x=_at_cents(at), label=f"{report.a4_hz:.1f} Hz")
        half = min(50.0, report.uncertainty_cents or 0.0) / 100 * WIDTH
        band_x, band_width = round(max(0.0, found.x - half), 2), round(2 * half, 2)
    marks = tuple(Mark(x=_at_cents(1200 * math.log2(hz / 440.0)), label=f"{hz:g}") for hz in _MARKED_HZ)
    where = f" The tuning found lies at {at:+.1f} cents." if at is not None else ""
    return Histogram(
        bars=bars,
        marks=marks,
        found=found,
        band_x=band_x,
        band_width=band_width,
        text="How far the notes lie from those of A4 = 440 Hz, from −50 to +50 cents. 432 Hz is marked at "
        f"−31.8, 442 Hz at +7.9 cents.{where}",
    )


def spectrum(report: TuningReport) -> SpectrumPicture | None:
    """The spectrum as a picture; None where there is none."""
    picture = report.spectrum
    if picture is None or len(picture.levels_db) < 2 or not 0 < picture.low_hz < picture.high_hz:
        return None
    step = WIDTH / (len(picture.levels_db) - 1)
    points = [
        f"{number * step:.1f},{HEIGHT * min(1.0, max(0.0, level / _DEEPEST_DB)):.1f}"
        for number, level in enumerate(picture.levels_db)
    ]
    peak = None
    text = "The spectrum of what we heard, low notes left, high notes right."
    found = report.verdict is not Verdict.INCONCLUSIVE
    if found and report.dominant_hz and picture.low_hz <= report.dominant_hz <= picture.high_hz:
        note = f"{(report.dominant_note or '').replace('#', '♯')} · {report.dominant_hz:.1f} Hz"
        peak = Mark(x=_at_hz(report.dominant_hz, picture), label=note.removeprefix(" · "))
        text += f" The strongest tone is {report.dominant_hz:.1f} Hz, near {report.dominant_note}."
    line = "M" + "L".join(points)
    return SpectrumPicture(
        line=line,
        area=f"{line}L{WIDTH:g},{HEIGHT:g}L0,{HEIGHT:g}Z",
        ticks=tuple(
            Mark(x=_at_hz(hz, picture), label=f"{hz // 1000}k" if hz >= 1000 else str(hz))
            for hz in _TICKS_HZ
            if picture.low_hz <= hz <= picture.high_hz
        ),
        peak=peak,
        text=text,
    )


def _at_cents(cents: float) -> float:
    return round((cents + 50.0) / 100.0 * WIDTH, 2)


def _at_hz(hz: float, picture: Spectrum) -> float:
    return round(math.log(hz / picture.low_hz) / math.log(picture.high_hz / picture.low_hz) * WIDTH, 2)


def _apart(one: float, other: float) -> float:
    """Distance of two deviations, which come round again after a semitone."""
    return abs((one - other + 50.0) % 100.0 - 50.0)

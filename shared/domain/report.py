"""What we found in a recording. Values only: no I/O, no numpy, safe to turn into JSON."""

from dataclasses import dataclass, field

from shared.domain.open_enum import OpenEnum

ANALYSIS_VERSION = "8"
"""Version of the estimator. Reports of other versions are not reused."""


class Verdict(OpenEnum):
    """The tuning in one word."""

    A432 = "432"
    A440 = "440"
    OTHER = "other"
    INCONCLUSIVE = "inconclusive"


class Reason(OpenEnum):
    """Why a recording has no verdict."""

    SILENT = "silent"
    TOO_SHORT = "too_short"
    NOISE_LIKE = "noise_like"
    NO_STABLE_PITCH = "no_stable_pitch"
    TUNING_DRIFTS = "tuning_drifts"
    AMBIGUOUS = "ambiguous"
    """There is a tuning, but its interval covers several standards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum:
    """A log-frequency magnitude spectrum for charts, at most 512 points.

    Point `i` of `n` lies at `low_hz * (high_hz / low_hz) ** (i / (n - 1))`; levels are dB below
    the strongest point (0 or negative).
    """

    low_hz: float
    high_hz: float
    levels_db: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningReport:
    """The tuning of one stretch of audio.

    `a4_hz` is folded to the semitone around 440 Hz; other octave-of-a-semitone readings that would
    fit as well are in `also_fits_hz`. All cents are of an equal-tempered semitone (100 cents).
    """

    verdict: Verdict
    confidence: float
    """Old name of `accuracy_probability`. Not the probability of the verdict."""
    accuracy_probability: float | None = None
    """Probability, calibrated, that `a4_hz` is within 3 cents of the truth; None in reports before version
    6."""
    verdict_probability: float | None = None
    """Probability, calibrated, of the verdict; None if it is inconclusive, and in reports before version
    6."""
    probabilities: dict[str, float] = field(default_factory=dict)
    """Probability of each pitch standard ("415" to "466", in Hz) and of `other` (between standards, or
    none)."""
    reason: Reason | None = None
    """Set if and only if the verdict is inconclusive."""
    remarks: tuple[str, ...] = ()
    """Short codes of further findings, such as `pure_tone`."""
    temperament: str | None = None
    """The unequal scale that the notes lie on, such as `just` or `vallotti`; None for the equal one."""
    a4_hz: float | None = None
    uncertainty_cents: float | None = None
    """Half-width of the interval that holds about 9 in 10 true values."""
    deviation_440_cents: float | None = None
    deviation_432_cents: float | None = None
    nearest_standard_hz: float | None = None
    also_fits_hz: tuple[float, ...] = ()
    drift_cents: tuple[float | None, ...] = ()
    """For each 10 s of the window, its tuning relative to `a4_hz`; None if it is unknown."""
    wow_rate_hz: float | None = None
    """Rate of the periodic change of speed that was removed, such as 0.556 at 33 1/3 rpm; None without
    wow."""
    wow_depth_cents: float | None = None
    """Peak deviation of that change."""
    wow_cents: tuple[float, ...] = ()
    """Measured deviation of the speed over the first ten seconds, ten times a second; empty without wow."""
    dominant_hz: float | None = None
    """The strongest peak of the spectrum, interpolated."""
    dominant_note: str | None = None
    """The nearest note in A4 = 440 Hz, such as `C#4`."""
    dominant_cents: float | None = None
    """From `dominant_note` in A4 = 440 Hz."""
    histogram: tuple[float, ...] = ()
    """100 bins of 1 cent, -50 to +50 from the A4 = 440 Hz grid, adding up to 1; empty if no partials."""
    spectrum: Spectrum | None = None
    analysis_version: str = ""


class DurationAccuracy(OpenEnum):
    """How far the duration of a recording can be trusted."""

    EXACT = "exact"
    """Counted: in the header or the index of the file, or by decoding it to its end."""
    ESTIMATED = "estimated"
    """From the size of the file and its bit rate."""
    UNKNOWN = "unknown"


class TrackReason(OpenEnum):
    """Why a track was analyzed and not another."""

    ONLY = "only"
    """The file has no other audio track."""
    DEFAULT = "default"
    """The file marks it as the default."""
    FIRST = "first"
    """It is the first audio track that is no commentary."""
    FIRST_AUDIBLE = "first_audible"
    """The tracks that come before it are silent or can't be decoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioTrack:
    """The audio track that was analyzed. Its codec is that of `AudioFacts`."""

    index: int
    """Counted from 1, in the order of the file, audio tracks only."""
    count: int
    """How many audio tracks the file has."""
    language: str | None = None
    """As the file declares it, such as `eng`."""
    title: str | None = None
    reason: TrackReason = TrackReason.ONLY


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFacts:
    """What was analyzed, and what it cost."""

    container: str
    codec: str
    sample_rate: int
    """Hz, as stored in the file."""
    channels: int
    start_seconds: float
    """Where in the recording the analysed window begins."""
    analysed_seconds: float
    bytes_read: int
    """Fetched from storage."""
    decode_seconds: float
    analysis_seconds: float
    window_seconds: float | None = None
    """The longest window that was allowed; None in old reports."""
    duration_seconds: float | None = None
    """Of the whole recording; None if it is unknown, and in old reports."""
    duration_accuracy: DurationAccuracy = DurationAccuracy.UNKNOWN
    track: AudioTrack | None = None
    """None in old reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The report of one job."""

    tuning: TuningReport
    audio: AudioFacts

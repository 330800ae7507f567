"""A report as sentences for musicians. Pure: numbers in, text out."""

from dataclasses import dataclass

from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.domain.report import Reason, Report, TuningReport, Verdict

_SAME_CENTS = 2.0
_HAIR_CENTS = 6.0
_FRACTIONS = (
    (100 / 12, "a twelfth"),
    (12.5, "an eighth"),
    (100 / 6, "a sixth"),
    (20.0, "a fifth"),
    (25.0, "a quarter"),
    (100 / 3, "a third"),
    (40.0, "two fifths"),
    (50.0, "half"),
)
_STANDARDS = {
    415.0: "baroque pitch",
    430.0: "classical pitch",
    432.0: "“Verdi” tuning",
    435.0: "the French pitch of 1859",
    440.0: "concert pitch",
    442.0: "the pitch of many orchestras",
    443.0: "the pitch of some European orchestras",
    444.0: "a high orchestral pitch",
    466.0: "the high choir pitch of old organs",
}
_REASONS = {
    Reason.SILENT: (
        "The recording is silent",
        "We can hear nothing in the minute that we analyzed. If the music starts later, choose another "
        "start.",
    ),
    Reason.TOO_SHORT: (
        "The recording is too short",
        "It is shorter than half a second. A few seconds of music are enough.",
    ),
    Reason.NOISE_LIKE: (
        "The recording has no pitch",
        "It sounds like noise or drums rather than notes, so it has no tuning.",
    ),
    Reason.NO_STABLE_PITCH: (
        "The pitch is not stable",
        "The tones don’t share one tuning. Speech, slides and effects are like that. Try another part of "
        "the song.",
    ),
    Reason.TUNING_DRIFTS: (
        "The tuning drifts",
        "It changes too much within the minute for a single number. Old tapes, unaccompanied voices and "
        "speed effects are like that.",
    ),
}
_REMARKS = {
    "pure_tone": "This is a single tone. We assume that it is a note of the scale.",
    "single_tone": "One ringing tone dominates, as with a bell. We compare it with its nearest note.",
    "clipped": "The recording is distorted by clipping, which makes the analysis less reliable.",
}
_SCALES = {
    "just": "just intonation",
    "pythagorean": "Pythagorean tuning",
    "quarter_comma_meantone": "quarter-comma meantone",
    "sixth_comma_meantone": "sixth-comma meantone",
    "werckmeister_3": "Werckmeister III",
    "kirnberger_3": "Kirnberger III",
    "vallotti": "Vallotti’s temperament",
    "young_2": "Young’s second temperament",
}
_ADVICE = {
    "no_audio": "Check that the file plays in a music player.",
    "undecodable": "Export it as WAV, FLAC, MP3 or M4A, then try again.",
    "audio_missing": "Upload the file again.",
    "too_complex": "Export it as a stereo file at 44.1 or 48 kHz, then try again.",
    "too_many_crashes": "The file may be damaged. Export it again, then try again.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The top of a job's card."""

    headline: str
    detail: str
    tone: str
    """`found`, `unsure` or `error`: the color of the card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """The confidence, in a word and in a sentence."""

    percent: int
    word: str
    sentence: str


def answer(job: Job) -> Answer | None:
    """The answer of a final job; None before its end."""
    if job.report is not None and job.state is JobState.SUCCEEDED:
        return _report_answer(job.report.tuning)
    if job.state is JobState.CANCELED:
        return Answer(
            headline="Canceled",
            detail="The song was not analyzed, and its audio is deleted. Upload it again if you like.",
            tone="unsure",
        )
    if job.state is JobState.DEAD:
        return Answer(
            headline="The analysis crashed",
            detail=_failure(job, "We tried several times without success."),
            tone="error",
        )
    if job.state is JobState.FAILED:
        return Answer(
            headline="We can’t analyze this file",
            detail=_failure(job, "Something in it stopped the analysis."),
            tone="error",
        )
    return None


def comparison(cents: float) -> str:
    """A deviation from 440 Hz in words, such as “a third of a semitone below concert pitch”."""
    size = abs(cents)
    if size < _SAME_CENTS:
        return "right at concert pitch"
    side = "above" if cents > 0 else "below"
    if size < _HAIR_CENTS:
        return f"a hair {side} concert pitch"
    name = min(_FRACTIONS, key=lambda fraction: abs(fraction[0] - size))[1]
    return f"{name} of a semitone {side} concert pitch"


def standard(report: TuningReport) -> str | None:
    """The name of this tuning, or of the nearest one that has a name; None far from all of them."""
    nearest = report.nearest_standard_hz
    if nearest is None or report.a4_hz is None or nearest not in _STANDARDS:
        return None
    close = abs(report.a4_hz / nearest - 1) < 0.0012  # about 2 cents
    return (
        f"{nearest:g} Hz is {_STANDARDS[nearest]}."
        if close
        else (f"The nearest standard is {nearest:g} Hz, {_STANDARDS[nearest]}.")
    )


def compare_hz(report: TuningReport) -> list[float]:
    """Reference pitches to compare by ear, without those that sound the same as the result."""
    a4_hz = report.a4_hz or 440.0
    return [hz for hz in (440.0, 432.0) if abs(a4_hz / hz - 1) > 0.0012]


def uncertainty_hz(report: TuningReport) -> float | None:
    """The uncertainty in Hz at the detected pitch."""
    if report.a4_hz is None or report.uncertainty_cents is None:
        return None
    return float(report.a4_hz * (2 ** (report.uncertainty_cents / 1200) - 1))


def confidence(report: TuningReport) -> Confidence:
    """The confidence as a percentage, a word and a sentence."""
    percent = min(99, round(100 * report.confidence))
    word = (
        "Almost certain"
        if percent >= 95
        else "Very likely"
        if percent >= 85
        else "Likely"
        if percent >= 60
        else "Uncertain"
    )
    return Confidence(
        percent=percent,
        word=word,
        sentence=f"About {percent} of 100 results with this confidence are correct to within 3 cents, "
        "a difference that most people can’t hear.",
    )


def summary(name: str | None, report: TuningReport) -> dict[str, object]:
    """One row of the table of many songs."""
    is_found = report.verdict is not Verdict.INCONCLUSIVE
    drifts = [cents for cents in report.drift_cents if cents is not None]
    return {
        "name": name or "Unnamed song",
        "a4_hz": report.a4_hz if is_found else None,
        "uncertainty_hz": uncertainty_hz(report) if is_found else None,
        "verdict": str(report.verdict),
        "confidence": report.confidence if is_found else None,
        "drift_cents": max(drifts) - min(drifts) if len(drifts) > 1 else None,
    }


def remarks(report: Report) -> list[str]:
    """What else to know about the answer, one sentence each."""
    tuning = report.tuning
    sentences = [_REMARKS[code] for code in tuning.remarks if code in _REMARKS]
    if tuning.temperament is not None:
        name = _SCALES.get(tuning.temperament, tuning.temperament)
        sentences.append(f"The scale is not equally tempered. {name} fits best; the pitch above is its A.")
    if tuning.also_fits_hz:
        others = " or ".join(f"{hz:.0f} Hz" for hz in tuning.also_fits_hz)
        sentences.append(
            f"Sound alone determines the tuning only up to a semitone. The same song, transposed, "
            f"also fits A4 = {others}."
        )
    drifts = [cents for cents in tuning.drift_cents if cents is not None]
    if len(drifts) > 1 and max(drifts) - min(drifts) > 4:
        sentences.append(f"The tuning changes by {max(drifts) - min(drifts):.0f} cents within the minute.")
    return sentences


def _report_answer(report: TuningReport) -> Answer:
    if report.verdict is Verdict.INCONCLUSIVE or report.a4_hz is None:
        reason = report.reason or Reason.NO_STABLE_PITCH
        headline, detail = _REASONS[reason]
        return Answer(headline=headline, detail=detail, tone="unsure")
    return Answer(
        headline=f"Tuned to A4 = {report.a4_hz:.1f} Hz",
        detail=comparison(report.deviation_440_cents or 0.0),
        tone="found",
    )


def _failure(job: Job, default: str) -> str:
    if job.problem is None:
        return default
    return f"{job.problem.message} {_ADVICE.get(job.problem.code, '')}".strip()

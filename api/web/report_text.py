"""A report as sentences for musicians. Pure: numbers in, text out."""

from dataclasses import dataclass

from shared.domain import tuning_text
from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.domain.report import Reason, Report, TuningReport, Verdict

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
        "The notes don’t share one tuning. Speech, singing without accompaniment, slides and effects are "
        "like that. Try another part of the song.",
    ),
    Reason.TUNING_DRIFTS: (
        "The tuning drifts",
        "It changes too much within the minute for a single number. Old tapes, unaccompanied voices and "
        "speed effects are like that.",
    ),
    Reason.AMBIGUOUS: (
        "Too close to call",
        "The notes are too far apart, or too few, to say which standard they follow. Try another part of "
        "the song.",
    ),
}
_REMARKS = {
    "pure_tone": "This is a single tone. We assume that it is a note of the scale.",
    "single_tone": "One ringing tone dominates, as with a bell. We compare it with its nearest note.",
    "few_notes": "There are only a few different notes, so we know less about the tuning of the whole song.",
    "damaged": "The file is damaged. We analyzed what comes before the damage.",
    "start_estimated": "The index of this MP3 is coarse. The part that we analyzed can lie earlier or later, "
    "by about one percent of the recording’s length.",
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
    """The probability of the verdict, in a word and in a sentence."""

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
    """The probability of the verdict as a percentage, a word and a sentence."""
    known = report.verdict_probability is not None
    percent = min(99, round(100 * (report.verdict_probability or report.confidence)))
    accurate = min(99, round(100 * (report.accuracy_probability or report.confidence)))
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
        sentence=(f"About {percent} of 100 verdicts with this probability are right. " if known else "")
        + f"The pitch is correct to within 3 cents, a difference that most people can’t hear, with a "
        f"probability of {accurate} %.",
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
        "confidence": (report.verdict_probability or report.confidence) if is_found else None,
        "drift_cents": max(drifts) - min(drifts) if len(drifts) > 1 else None,
    }


def remarks(report: Report) -> list[str]:
    """What else to know about the answer, one sentence each."""
    tuning = report.tuning
    sentences = [_REMARKS[code] for code in tuning.remarks if code in _REMARKS]
    if tuning.temperament is not None:
        name = _SCALES.get(tuning.temperament, tuning.temperament)
        sentences.append(f"The scale is not equally tempered. {name} fits best; the pitch above is its A.")
    if tuning.wow_rate_hz is not None:
        sentences.append(
            f"The speed changes by ±{tuning.wow_depth_cents or 0.0:.0f} cents, {60 * tuning.wow_rate_hz:.0f} "
            "times a minute, as a record player’s does. We measure the pitch at its mean speed."
        )
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
    return Answer(headline=tuning_text.headline(report), detail=tuning_text.detail(report), tone="found")


def _failure(job: Job, default: str) -> str:
    if job.problem is None:
        return default
    has_advice = ". " in job.problem.message
    return (
        job.problem.message
        if has_advice
        else f"{job.problem.message} {_ADVICE.get(job.problem.code, '')}".strip()
    )

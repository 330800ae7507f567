"""A report in the words of a musician. Pure: numbers in, sentences out."""

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
        "There is only silence",
        "The minute that we listened to holds nothing that can be heard. If the music begins later, "
        "choose where to listen.",
    ),
    Reason.TOO_SHORT: (
        "There is too little to hear",
        "The recording is shorter than half a second. A few seconds of music are enough.",
    ),
    Reason.NOISE_LIKE: (
        "There is no pitch in it",
        "What we heard is more like noise or drums than like notes, so it is tuned to nothing.",
    ),
    Reason.NO_STABLE_PITCH: (
        "The pitch does not settle",
        "There are tones, but they agree on no common tuning: speech, slides and effects are like that. "
        "Another part of the song may tell more.",
    ),
    Reason.TUNING_DRIFTS: (
        "The tuning wanders",
        "It changes too much within the minute for one number to be true: an old tape, a voice without "
        "accompaniment, or a speed effect.",
    ),
}
_REMARKS = {
    "pure_tone": "This is a single tone, so we took it for an A or its neighbour in the scale.",
    "single_tone": "One ringing tone outweighs all else, as of a bowl or a bell: we took its nearest note.",
    "clipped": "The recording is distorted by clipping, which makes listening harder.",
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
    "no_audio": "Check that it is a sound file and that it plays in a music player.",
    "undecodable": "Export it as WAV, FLAC, MP3 or M4A and try again.",
    "audio_missing": "Upload the file again.",
    "too_complex": "Export it as an ordinary stereo file at 44.1 or 48 kHz and try again.",
    "too_many_crashes": "It may be damaged in a way that upsets our decoders. Export it anew and try again.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a job's page says at its top."""

    headline: str
    detail: str
    tone: str
    """found, unsure or wrong: how the page colours it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """How sure we are, in a word and in a sentence."""

    percent: int
    word: str
    sentence: str


def answer(job: Job) -> Answer | None:
    """The answer of a final job; None while there is none."""
    if job.report is not None and job.state is JobState.SUCCEEDED:
        return _of_report(job.report.tuning)
    if job.state is JobState.CANCELED:
        return Answer(
            headline="Canceled",
            detail="Nobody listened to it, and the audio was deleted. Upload it again if you like.",
            tone="unsure",
        )
    if job.state is JobState.DEAD:
        return Answer(
            headline="We gave this one up",
            detail=_problem(job, "Listening to it failed again and again."),
            tone="wrong",
        )
    if job.state is JobState.FAILED:
        return Answer(
            headline="We could not listen to this file",
            detail=_problem(job, "Something in it stopped us."),
            tone="wrong",
        )
    return None


def comparison(cents: float) -> str:
    """A deviation from 440 Hz against something that a musician knows."""
    size = abs(cents)
    if size < _SAME_CENTS:
        return "right at concert pitch"
    side = "above" if cents > 0 else "below"
    if size < _HAIR_CENTS:
        return f"a hair {side} concert pitch"
    name = min(_FRACTIONS, key=lambda fraction: abs(fraction[0] - size))[1]
    return f"{name} of a semitone {side} concert pitch"


def standard(report: TuningReport) -> str | None:
    """What people call this tuning, if it has a name."""
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
    """Pitches to hear beside the one found: not those that sound the same."""
    a4_hz = report.a4_hz or 440.0
    return [hz for hz in (440.0, 432.0) if abs(a4_hz / hz - 1) > 0.0012]


def uncertainty_hz(report: TuningReport) -> float | None:
    """The uncertainty in Hz at the pitch found."""
    if report.a4_hz is None or report.uncertainty_cents is None:
        return None
    return float(report.a4_hz * (2 ** (report.uncertainty_cents / 1200) - 1))


def confidence(report: TuningReport) -> Confidence:
    """How sure we are."""
    percent = min(99, round(100 * report.confidence))
    word = (
        "Almost certain"
        if percent >= 95
        else "Very likely"
        if percent >= 85
        else "Likely"
        if percent >= 60
        else "Little more than a guess"
    )
    return Confidence(
        percent=percent,
        word=word,
        sentence=f"Of a hundred answers given with this confidence, about {percent} are right "
        "to within 3 cents, less than most ears can tell.",
    )


def remarks(report: Report) -> list[str]:
    """What to know beside the answer."""
    tuning = report.tuning
    said = [_REMARKS[code] for code in tuning.remarks if code in _REMARKS]
    if tuning.temperament is not None:
        name = _SCALES.get(tuning.temperament, tuning.temperament)
        said.append(f"Its steps are not equal: of the scales that we know, {name} fits best. We tell its A.")
    if tuning.also_fits_hz:
        others = " or ".join(f"{hz:.0f} Hz" for hz in tuning.also_fits_hz)
        said.append(
            f"Sound alone tells the tuning only up to a semitone: the same song, transposed, "
            f"would fit A4 = {others} as well."
        )
    drifts = [cents for cents in tuning.drift_cents if cents is not None]
    if len(drifts) > 1 and max(drifts) - min(drifts) > 4:
        said.append(f"The tuning moves by {max(drifts) - min(drifts):.0f} cents within the minute.")
    return said


def _of_report(report: TuningReport) -> Answer:
    if report.verdict is Verdict.INCONCLUSIVE or report.a4_hz is None:
        reason = report.reason or Reason.NO_STABLE_PITCH
        headline, detail = _REASONS[reason]
        return Answer(headline=headline, detail=detail, tone="unsure")
    return Answer(
        headline=f"Tuned to A4 = {report.a4_hz:.1f} Hz",
        detail=comparison(report.deviation_440_cents or 0.0),
        tone="found",
    )


def _problem(job: Job, otherwise: str) -> str:
    if job.problem is None:
        return otherwise
    return f"{job.problem.message} {_ADVICE.get(job.problem.code, '')}".strip()

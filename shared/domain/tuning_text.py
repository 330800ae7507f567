"""The tuning of a report as sentences: which standard, how far from it, and what sound alone can't tell.

Pure: numbers in, text out. Names a standard only where it is probable.
"""

import math

from shared.domain.report import TuningReport, Verdict

STANDARDS = {
    "415": "baroque pitch",
    "430": "classical pitch",
    "432": "“Verdi” tuning",
    "435": "the French pitch of 1859",
    "440": "concert pitch",
    "442": "the pitch of many orchestras",
    "443": "the pitch of some European orchestras",
    "444": "a high orchestral pitch",
    "466": "the high choir pitch of old organs",
}
ORCHESTRAL = ("442", "443", "444")
SOLFEGGIO_HZ = (174, 285, 396, 417, 528, 639, 741, 852, 963)
"""The “solfeggio frequencies” of many videos."""
PROBABLE = 0.5
POSSIBLE = 0.15
IN_TUNE_CENTS = 2.5
SOLFEGGIO_CENTS = 2.0
_NOTES = ("A", "A♯", "B", "C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯")


def headline(report: TuningReport) -> str:
    """The verdict in a few words, such as “Tuned to 432 (played 5 cents sharp)”."""
    if report.verdict is Verdict.INCONCLUSIVE:
        return "Inconclusive"
    if not report.probabilities or report.a4_hz is None:
        return f"Tuned to A4 = {report.a4_hz or 440.0:.1f} Hz"
    if report.verdict is Verdict.A440:
        return f"Concert pitch, 440{_a_little(_offset(report, '440'))}"
    if report.verdict is Verdict.A432:
        return f"Tuned to 432{_played(_offset(report, '432'))}"
    name = max(report.probabilities, key=lambda standard: report.probabilities[standard])
    if name in STANDARDS and report.probabilities[name] >= PROBABLE:
        return f"Tuned to {name}{_played(_offset(report, name))}"
    if _is_orchestral(report):
        return f"Orchestral pitch: {report.a4_hz:.1f} Hz"
    return f"Between standards: {report.a4_hz:.1f} Hz"


def detail(report: TuningReport) -> str:
    """One sentence that explains the headline; empty in reports without probabilities."""
    if not report.probabilities or report.a4_hz is None:
        return ""
    if report.verdict is Verdict.A440:
        offset = _offset(report, "440")
        if abs(offset) < IN_TUNE_CENTS:
            return "This is the standard of almost all modern music."
        return f"It is played {_cents(offset)}, as live recordings often are."
    if report.verdict is Verdict.A432:
        return "432 is about a third of a semitone below concert pitch."
    name = max(report.probabilities, key=lambda standard: report.probabilities[standard])
    if name in STANDARDS and report.probabilities[name] >= PROBABLE:
        return f"{name} Hz is {STANDARDS[name]}."
    if _is_orchestral(report):
        return "European orchestras tune to 442 to 444 Hz."
    return "It follows none of the common standards: tape speed and effects have this result."


def alternatives(report: TuningReport) -> str | None:
    """What else the sound fits: other standards, and names that people give to this tuning."""
    sentences = [_same_grid(report), _other_standards(report), solfeggio(report)]
    return " ".join(sentence for sentence in sentences if sentence) or None


def solfeggio(report: TuningReport) -> str | None:
    """Names the “solfeggio” frequencies that are notes of this tuning; None at 432 and 440."""
    if report.a4_hz is None or report.verdict is not Verdict.OTHER:
        return None
    notes = []
    for hz in SOLFEGGIO_HZ:
        semitones = 12.0 * math.log2(hz / report.a4_hz)
        if abs(semitones - round(semitones)) * 100.0 <= SOLFEGGIO_CENTS:
            notes.append(f"{_NOTES[round(semitones) % 12]} is {hz} Hz")
    if not notes:
        return None
    claim = " and ".join(notes[:3])
    return f"In this tuning, {claim}: that is what “solfeggio” tuning means, and nothing more."


def _same_grid(report: TuningReport) -> str | None:
    if report.verdict is not Verdict.A440 or not report.probabilities:
        return None
    return (
        "Sound alone can’t distinguish 440 from 415 (baroque pitch) played a semitone higher. If this is a "
        "period-instrument recording, it is probably 415."
    )


def _other_standards(report: TuningReport) -> str | None:
    """Other standards that are possible."""
    said = {report.verdict.value, "415", "466", "other"}
    if report.verdict is Verdict.OTHER:
        said.add(max(report.probabilities, key=lambda name: report.probabilities[name], default=""))
    possible = [
        f"{name}, {STANDARDS[name]} ({100 * value:.0f} %)"
        for name, value in sorted(report.probabilities.items(), key=lambda item: -item[1])
        if name not in said and name in STANDARDS and value >= POSSIBLE
    ]
    return f"Also possible: {'; '.join(possible)}." if possible else None


def _is_orchestral(report: TuningReport) -> bool:
    return sum(report.probabilities.get(name, 0.0) for name in ORCHESTRAL) >= PROBABLE


def _offset(report: TuningReport, name: str) -> float:
    """Cents from a standard, modulo a semitone."""
    cents = 1200.0 * math.log2((report.a4_hz or 440.0) / float(name))
    return (cents + 50.0) % 100.0 - 50.0


def _played(offset: float) -> str:
    return "" if abs(offset) < IN_TUNE_CENTS else f" (played {_cents(offset)})"


def _a_little(offset: float) -> str:
    if abs(offset) < IN_TUNE_CENTS:
        return ""
    return ", a little sharp" if offset > 0 else ", a little flat"


def _cents(offset: float) -> str:
    size = round(abs(offset))
    return f"{size} cent{'' if size == 1 else 's'} {'sharp' if offset > 0 else 'flat'}"

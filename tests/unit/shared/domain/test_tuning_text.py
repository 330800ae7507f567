"""The sentences about a tuning."""

import pytest

from shared.domain.report import Reason, TuningReport, Verdict
from shared.domain.tuning_text import STANDARDS, alternatives, detail, headline, solfeggio
from tests.support.factories import make_report


def tuned(a4_hz: float, verdict: Verdict = Verdict.OTHER, **probabilities: float) -> TuningReport:
    """A report with probabilities, such as `p442=0.8`; the rest is `other`."""
    named = {name.removeprefix("p"): value for name, value in probabilities.items()}
    rest = {"other": 1.0 - sum(named.values())}
    return make_report(a4_hz=a4_hz, verdict=verdict, probabilities=named | rest).tuning


@pytest.mark.parametrize(
    ("report", "text"),
    [
        (tuned(432.1, Verdict.A432, p432=0.96), "Tuned to 432"),
        (tuned(433.3, Verdict.A432, p432=0.8), "Tuned to 432 (played 5 cents sharp)"),
        (tuned(431.0, Verdict.A432, p432=0.8), "Tuned to 432 (played 4 cents flat)"),
        (tuned(440.2, Verdict.A440, p440=0.97), "Concert pitch, 440"),
        (tuned(441.2, Verdict.A440, p440=0.8), "Concert pitch, 440, a little sharp"),
        (tuned(438.9, Verdict.A440, p440=0.8), "Concert pitch, 440, a little flat"),
        (tuned(444.1, p444=0.7), "Tuned to 444"),
        (tuned(442.6, p442=0.4, p443=0.4), "Orchestral pitch: 442.6 Hz"),
        (tuned(435.6, p435=0.2), "Between standards: 435.6 Hz"),
    ],
)
def test_the_headline_names_a_standard_only_where_it_is_probable(report: TuningReport, text: str) -> None:
    assert headline(report) == text


def test_a_sharp_recording_at_440_is_called_usual() -> None:
    sharp = detail(tuned(441.2, Verdict.A440, p440=0.8))
    assert sharp == "It is played 5 cents sharp, as live recordings often are."


def test_440_could_be_415() -> None:
    assert "can’t distinguish 440 from 415" in (alternatives(tuned(440.0, Verdict.A440, p440=0.97)) or "")
    assert alternatives(tuned(432.0, Verdict.A432, p432=0.97)) is None


def test_a_possible_standard_is_named_with_its_probability() -> None:
    text = alternatives(tuned(441.8, Verdict.A440, p440=0.6, p442=0.3)) or ""
    assert "Also possible: 442, the pitch of many orchestras (30 %)." in text


def test_the_solfeggio_claims_of_444_are_named() -> None:
    text = solfeggio(tuned(444.0, p444=0.8)) or ""
    assert "C is 528 Hz" in text
    assert "G is 396 Hz" in text


@pytest.mark.parametrize("a4_hz", [430.0, 432.0, 440.0, 442.8])
def test_other_tunings_make_no_solfeggio_claim(a4_hz: float) -> None:
    verdict = {432.0: Verdict.A432, 440.0: Verdict.A440}.get(a4_hz, Verdict.OTHER)
    assert "528" not in (solfeggio(tuned(a4_hz, verdict, p440=0.5)) or "")


def test_a_report_without_probabilities_shows_its_pitch() -> None:
    report = make_report(a4_hz=432.04).tuning
    assert (headline(report), detail(report)) == ("Tuned to A4 = 432.0 Hz", "")


def test_an_inconclusive_report_names_no_standard() -> None:
    report = make_report(verdict=Verdict.INCONCLUSIVE, reason=Reason.AMBIGUOUS).tuning
    assert headline(report) == "Inconclusive"


def test_every_standard_of_the_estimator_has_a_name() -> None:
    from worker.tuning.standards import STANDARD_PRIORS

    assert set(STANDARDS) == {f"{hz:g}" for hz in STANDARD_PRIORS}

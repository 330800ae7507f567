"""Probabilities of the pitch standards."""

import pytest

from worker.tuning.standards import (
    STANDARD_PRIORS,
    cents_from_440,
    nearest_standard,
    standard_probabilities,
    wrap_cents,
)

AT_432 = cents_from_440(432.0)


@pytest.mark.parametrize("cents", [-50.0, -31.8, 0.0, 7.9, 25.0, 49.9])
@pytest.mark.parametrize("error", [0.7, 5.0, 30.0])
def test_probabilities_add_up_to_one(cents: float, error: float) -> None:
    probabilities = standard_probabilities(cents, error, 0.9)
    assert sum(probabilities.values()) == pytest.approx(1.0)
    assert min(probabilities.values()) >= 0.0


@pytest.mark.parametrize("offset", [-5.0, 0.0, 5.0, 8.0])
def test_live_recordings_are_called_by_their_standard(offset: float) -> None:
    at_432 = standard_probabilities(AT_432 + offset, 1.2, 0.99)
    assert max(at_432, key=lambda name: at_432[name]) == "432"
    assert at_432["440"] < 0.01


def test_a_wide_interval_does_not_make_a_recording_other() -> None:
    wide = standard_probabilities(-0.8, 3.2, 0.99)
    assert wide["440"] > 0.85
    assert wide["432"] < 0.01


def test_a_pitch_between_the_standards_is_other() -> None:
    between = standard_probabilities(-15.0, 1.2, 0.99)
    assert max(between, key=lambda name: between[name]) == "other"


def test_an_uncertain_tuning_limits_every_standard() -> None:
    assert standard_probabilities(0.0, 1.0, 0.6)["440"] < 0.6
    assert standard_probabilities(0.0, 1.0, 0.6)["other"] > 0.4


def test_415_and_440_share_the_evidence_by_their_prior() -> None:
    probabilities = standard_probabilities(-0.6, 1.0, 1.0)
    assert probabilities["415"] / probabilities["440"] == pytest.approx(
        STANDARD_PRIORS[415.0] / STANDARD_PRIORS[440.0], rel=0.2
    )


@pytest.mark.parametrize("cents", [-40.0, -16.0, 3.0, 33.0])
def test_probabilities_repeat_after_a_semitone(cents: float) -> None:
    here = standard_probabilities(cents, 2.0, 0.9)
    assert standard_probabilities(cents + 100.0, 2.0, 0.9) == pytest.approx(here)


@pytest.mark.parametrize(
    ("a4_hz", "standard"),
    [(442.3, 442.0), (439.7, 440.0), (415.2, 440.0), (466.1, 440.0), (432.4, 432.0), (452.0, 430.0)],
)
def test_the_nearest_standard_is_modulo_a_semitone(a4_hz: float, standard: float) -> None:
    assert nearest_standard(a4_hz) == standard


def test_cents_are_folded_to_a_semitone() -> None:
    assert wrap_cents(60.0) == pytest.approx(-40.0)

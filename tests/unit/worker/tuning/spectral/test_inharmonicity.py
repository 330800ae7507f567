from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.peaks import make_peaks
from worker.tuning.spectral.harmonics import match_harmonics
from worker.tuning.spectral.inharmonicity import PIANO_CENTS, estimate_inharmonicity, octave_of


def stretched(stiffness: float) -> NDArray[np.float64]:
    """The estimate from 60 tones of six partials, two octaves below A4 to two above."""
    random = np.random.default_rng(4)
    peaks = []
    for frame in range(60):
        root = 100.0 * random.integers(-24, 24)
        per = stiffness * PIANO_CENTS[octave_of(np.array([root]))[0]]
        for order in range(1, 7):
            peaks.append((frame, root + 1200.0 * np.log2(order) + min(per * (order**2 - 1), 16.0)))
    return estimate_inharmonicity([match_harmonics(make_peaks(peaks))])


def test_harmonic_tones_have_no_stretch() -> None:
    assert stretched(0.0) == pytest.approx(np.zeros(8), abs=1e-3)


@pytest.mark.parametrize("stiffness", [0.3, 0.6, 1.0])
def test_the_stiffness_of_strings_is_found(stiffness: float) -> None:
    """Up to half more is correct: matched with the second partial, the fourth lies four times as far off."""
    found = stretched(stiffness) / PIANO_CENTS
    assert found == pytest.approx(np.full(8, found[0]))
    assert 0.9 * stiffness < found[0] < 1.5 * stiffness


def test_two_windows_share_one_estimate() -> None:
    stiff = [(frame, 1200.0 * np.log2(order) + order**2 - 1.0) for frame in range(9) for order in (1, 2, 3)]
    plain = [(frame, 1200.0 * np.log2(order)) for frame in range(9) for order in (1, 2, 3)]
    alone = estimate_inharmonicity([match_harmonics(make_peaks(stiff))])[4]
    both = estimate_inharmonicity([match_harmonics(make_peaks(stiff)), match_harmonics(make_peaks(plain))])[4]
    assert 0.0 < both < alone


def test_attacks_do_not_influence_the_stretch() -> None:
    """Struck strings start sharp, and their partials by other amounts."""
    stiff = match_harmonics(
        make_peaks([(f, 1200.0 * np.log2(order) + order**2 - 1.0) for f in range(9) for order in (1, 2, 3)])
    )
    plain = match_harmonics(
        make_peaks([(f, 1200.0 * np.log2(order)) for f in range(9) for order in (1, 2, 3)])
    )
    beginning = replace(plain, sustain=np.zeros_like(plain.sustain))
    assert estimate_inharmonicity([stiff, beginning]) == pytest.approx(estimate_inharmonicity([stiff]))


def test_the_stiffness_of_a_spinet_is_found() -> None:
    """In the middle of a spinet: partials up to 16 cents sharp."""
    assert 0.9 * 3.0 < stretched(3.0)[3] / PIANO_CENTS[3] < 1.5 * 3.0


def test_tempered_thirds_are_not_taken_for_stretch() -> None:
    """The third, two octaves up, lies 14 cents above the fifth partial of the root."""
    peaks = []
    for frame in range(20):
        root = 100.0 * (frame % 12) - 1200.0
        peaks += [(frame, root + 1200.0 * np.log2(order)) for order in (1, 2, 3, 4)]
        peaks += [(frame, root + 2800.0)]
    assert estimate_inharmonicity([match_harmonics(make_peaks(peaks))]) / PIANO_CENTS == pytest.approx(
        np.zeros(8), abs=0.1
    )


def test_silence_has_no_stretch() -> None:
    assert estimate_inharmonicity([match_harmonics(make_peaks([]))]).tolist() == [0.0] * 8

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.peaks import make_peaks
from worker.tuning.harmonics import read
from worker.tuning.inharmonicity import PIANO_CENTS, inharmonicity_of, octave_of


def stretched(stiffness: float) -> NDArray[np.float64]:
    """What is found in 60 tones of six partials from two octaves under A4 up to two over it."""
    random = np.random.default_rng(4)
    peaks = []
    for frame in range(60):
        root = 100.0 * random.integers(-24, 24)
        per = stiffness * PIANO_CENTS[octave_of(np.array([root]))[0]]
        for order in range(1, 7):
            peaks.append((frame, root + 1200.0 * np.log2(order) + min(per * (order**2 - 1), 16.0)))
    return inharmonicity_of([read(make_peaks(peaks))])


def test_winds_have_no_stretch() -> None:
    assert stretched(0.0) == pytest.approx(np.zeros(8), abs=1e-3)


@pytest.mark.parametrize("stiffness", [0.3, 0.6, 1.0])
def test_the_stiffness_of_strings_is_found(stiffness: float) -> None:
    """Or up to half more: read over the second partial, the fourth lies four times as far off."""
    found = stretched(stiffness) / PIANO_CENTS
    assert found == pytest.approx(np.full(8, found[0]))
    assert 0.9 * stiffness < found[0] < 1.5 * stiffness


def test_two_windows_are_asked_together() -> None:
    stiff = [(frame, 1200.0 * np.log2(order) + order**2 - 1.0) for frame in range(9) for order in (1, 2, 3)]
    plain = [(frame, 1200.0 * np.log2(order)) for frame in range(9) for order in (1, 2, 3)]
    alone = inharmonicity_of([read(make_peaks(stiff))])[4]
    both = inharmonicity_of([read(make_peaks(stiff)), read(make_peaks(plain))])[4]
    assert 0.0 < both < alone


def test_what_has_only_just_begun_tells_nothing_about_strings() -> None:
    """Struck strings begin sharp, and their overtones by other amounts."""
    stiff = read(
        make_peaks([(f, 1200.0 * np.log2(order) + order**2 - 1.0) for f in range(9) for order in (1, 2, 3)])
    )
    plain = read(make_peaks([(f, 1200.0 * np.log2(order)) for f in range(9) for order in (1, 2, 3)]))
    beginning = replace(plain, settled=np.zeros_like(plain.settled))
    assert inharmonicity_of([stiff, beginning]) == pytest.approx(inharmonicity_of([stiff]))


def test_the_stiffest_strings_of_all_are_found() -> None:
    """A spinet's in the middle: overtones up to 16 cents sharp."""
    assert 0.9 * 3.0 < stretched(3.0)[3] / PIANO_CENTS[3] < 1.5 * 3.0


def test_winds_in_chords_of_tempered_thirds_have_no_stretch() -> None:
    """The third, two octaves up, lies 14 cents over the root's fifth partial."""
    peaks = []
    for frame in range(20):
        root = 100.0 * (frame % 12) - 1200.0
        peaks += [(frame, root + 1200.0 * np.log2(order)) for order in (1, 2, 3, 4)]
        peaks += [(frame, root + 2800.0)]
    assert inharmonicity_of([read(make_peaks(peaks))]) / PIANO_CENTS == pytest.approx(np.zeros(8), abs=0.1)


def test_silence_has_no_stretch() -> None:
    assert inharmonicity_of([read(make_peaks([]))]).tolist() == [0.0] * 8

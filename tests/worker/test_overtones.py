import numpy as np
import pytest

from worker.overtones import PIANO_CENTS, octave_of, roots_of, stretch_of
from worker.peak_table import lay_out


def stretched(stiffness: float, *, notes: int = 60) -> np.ndarray:
    """What `stretch_of` finds in so many tones of six partials from two octaves below A4 up to two above."""
    random = np.random.default_rng(4)
    cents, frames = [], []
    for frame in range(notes):
        root = 100.0 * random.integers(-24, 24)
        per = stiffness * PIANO_CENTS[octave_of(np.array([root]))[0]]
        for order in range(1, 7):
            cents.append(root + 1200.0 * np.log2(order) + min(per * (order**2 - 1), 16.0))
            frames.append(frame)
    order_of = np.lexsort((cents, frames))
    pitches, frame_of = np.array(cents)[order_of], np.array(frames, np.int32)[order_of]
    return stretch_of(pitches, roots_of(lay_out(pitches, frame_of, notes)), np.ones(pitches.size))


def test_winds_have_no_stretch() -> None:
    assert stretched(0.0) == pytest.approx(np.zeros(8), abs=1e-3)


@pytest.mark.parametrize("stiffness", [0.3, 0.6, 1.0])
def test_the_stiffness_of_strings_is_found(stiffness: float) -> None:
    """Or up to half more: read over the second partial, the fourth lies four times as far off."""
    found = stretched(stiffness) / PIANO_CENTS
    assert found == pytest.approx(np.full(8, found[0]))
    assert 0.95 * stiffness < found[0] < 1.5 * stiffness


def test_overtones_that_lie_anywhere_are_no_stretch() -> None:
    random = np.random.default_rng(8)
    cents = np.sort(random.uniform(-3000, 3000, (200, 8)), axis=1).ravel()
    frames = np.repeat(np.arange(200, dtype=np.int32), 8)
    found = stretch_of(cents, roots_of(lay_out(cents, frames, 200)), np.ones(cents.size))
    assert found[4] < 0.2


def test_silence_has_no_stretch() -> None:
    none = np.zeros(0)
    assert stretch_of(none, roots_of(lay_out(none, np.zeros(0, np.int32), 1)), none).tolist() == [0.0] * 8

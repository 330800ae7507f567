"""One voice alone: its pitch track, its notes and their common grid."""

import numpy as np
import pytest

from tests.support import tones
from tests.support.tones import RATE, Samples
from worker.tuning.estimator import estimate_tuning
from worker.tuning.spectral.circle import wrap
from worker.tuning.spectral.resample import ResampledAudio, resample
from worker.tuning.standards import cents_from_440
from worker.tuning.voice import Voice, find_voice

A4_HZ = 433.0


def voice_of(samples: Samples) -> Voice | None:
    return find_voice(resample(samples, RATE))


@pytest.mark.parametrize("vibrato", [50, 75, 100])
@pytest.mark.parametrize("note_seconds", [(0.3, 0.6), (0.5, 1.2), (0.8, 1.8)], ids=str)
def test_deep_vibrato_of_a_solo_voice_is_averaged(vibrato: float, note_seconds: tuple[float, float]) -> None:
    line = tones.sung(A4_HZ, seed=1, vibrato_cents=vibrato, note_seconds=note_seconds)
    report = estimate_tuning(line, RATE)
    assert report.reason is None
    assert report.deviation_440_cents is not None
    assert abs(wrap(report.deviation_440_cents - cents_from_440(A4_HZ))) < 2.0
    assert report.verdict == "432"


def test_the_interval_covers_a_voice_without_whole_turns_of_vibrato() -> None:
    notes = [100.0 * note for note in np.random.default_rng(2).choice(tones.MAJOR, 80)]
    for note_seconds in (0.25, 0.33, 0.41):
        found = voice_of(tones.melody(A4_HZ, notes=notes, vibrato_cents=80, note_seconds=note_seconds))
        assert found is not None
        assert abs(wrap(found.cents - cents_from_440(A4_HZ))) < 1.0
        assert found.error_cents < 1.5


def test_a_voice_that_sinks_is_seen_to_sink() -> None:
    notes = [100.0 * note for note in np.random.default_rng(3).choice(tones.MAJOR, 80)]
    line = tones.melody(
        A4_HZ, notes=notes, seconds=40, vibrato_cents=60, bend=lambda second: 15.0 - 30.0 * second / 40.0
    )
    found = voice_of(line)
    assert found is not None
    drift = [cents for cents in found.drift_cents if cents is not None]
    assert drift[0] > 5.0
    assert drift[-1] < -5.0


@pytest.mark.parametrize(
    "samples",
    [
        tones.speech(),
        tones.noise(),
        tones.drums(),
        tones.tom(seed=1),
        tones.clang(seconds=20),
        tones.chirps(per_second=0.7),
        tones.sweep(),
        tones.siren(440, 554, per_second=1.0),
        tones.siren(500, 900, per_second=0.5),
        tones.melody(437.0, notes=tones.scale_of(19)),
        tones.melody(437.0, notes=tones.scale_of(24)),
        tones.sine(440.0),
    ],
    ids=[
        "speech",
        "noise",
        "drums",
        "tom",
        "clang",
        "chirps",
        "sweep",
        "siren",
        "slow siren",
        "19",
        "24",
        "sine",
    ],
)
def test_anything_but_notes_of_a_voice_on_a_semitone_grid_has_no_voice(samples: Samples) -> None:
    assert voice_of(samples) is None


@pytest.mark.parametrize("size", [0, 1, 511, 512, 5000, 30000])
def test_silence_and_short_samples_have_no_voice(size: int) -> None:
    silence = ResampledAudio(samples=np.zeros(size, np.float32), rate_hz=11025.0, clipped=False)
    assert find_voice(silence) is None


def test_chords_are_not_a_voice() -> None:
    chords = tones.chorus(A4_HZ) + tones.melody(A4_HZ * 1.26, note_seconds=0.7)[: 20 * RATE]
    assert voice_of(chords) is None

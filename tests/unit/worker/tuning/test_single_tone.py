"""One tone and nothing else, through codecs, in noise, with inharmonic partials, and what is not one."""

import io
import math
from collections.abc import Callable, Sequence

import av
import numpy as np
import pytest
import soundfile

from shared.domain.report import Reason, TuningReport, Verdict
from tests.support import tones
from tests.support.peaks import make_peaks
from tests.support.tones import RATE, Samples
from worker.tuning.estimator import estimate_tuning
from worker.tuning.single_tone import find_single_tone


def hissing(hz: float, *, rate: int, noise: float = 0.003, partials: int = 1) -> Samples:
    """A tone with hiss at -40 dB, or what `noise` says."""
    random = np.random.default_rng(4)
    tone = tones.harmonic(hz, seconds=4, rate=rate, level=0.25, partials=partials)
    return (tone + noise * random.standard_normal(tone.size)).astype(np.float32)


def through_vorbis(samples: Samples, rate: int, quality: float) -> Samples:
    """Encoded and decoded."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="OGG", subtype="VORBIS", compression_level=quality)
    file.seek(0)
    return np.asarray(soundfile.read(file, dtype="float32")[0], np.float32)


def through_amr(samples: Samples, bit_rate: int) -> Samples:
    """Encoded and decoded at 8 kHz, as old telephones do."""
    file = io.BytesIO()
    with av.open(file, "w", format="amr") as container:
        stream = container.add_stream("libopencore_amrnb", rate=8000)
        stream.bit_rate = bit_rate
        stream.layout = "mono"
        for start in range(0, samples.size - 160, 160):
            part = (samples[None, start : start + 160] * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
            frame.sample_rate = 8000
            frame.pts = start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as encoded:
        parts = [frame.to_ndarray()[0] for frame in encoded.decode(audio=0)]
    decoded = np.concatenate(parts)
    return (decoded / (32768 if decoded.dtype == np.int16 else 1)).astype(np.float32)


@pytest.mark.parametrize("quality", [0.0, 0.4, 0.9])
@pytest.mark.parametrize("hz", [432.0, 440.0])
def test_a_single_tone_survives_vorbis(hz: float, quality: float) -> None:
    report = estimate_tuning(through_vorbis(hissing(hz, rate=44100), 44100, quality), 44100)
    assert report.verdict == str(round(hz))
    assert report.confidence > 0.9
    assert "pure_tone" in report.remarks


@pytest.mark.parametrize("partials", [1, 6])
@pytest.mark.parametrize("bit_rate", [4750, 12200])
def test_a_single_tone_survives_a_speech_codec(bit_rate: int, partials: int) -> None:
    report = estimate_tuning(through_amr(hissing(432.0, rate=8000, partials=partials), bit_rate), 8000)
    assert report.verdict is Verdict.A432
    assert report.confidence > 0.9
    assert ("pure_tone" in report.remarks) is (partials == 1)


def test_a_single_tone_is_found_in_noise() -> None:
    report = estimate_tuning(hissing(440.0, rate=RATE, noise=0.1), RATE)
    assert report.verdict is Verdict.A440
    assert report.confidence > 0.9


def off(report: TuningReport, hz: float) -> float:
    """Error in cents from the tuning of the nearest note."""
    assert report.deviation_440_cents is not None
    return (report.deviation_440_cents - 1200 * math.log2(hz / 440) + 50) % 100 - 50


@pytest.mark.parametrize("rubbed", [False, True], ids=["struck", "rubbed"])
@pytest.mark.parametrize("seed", range(4))
def test_a_singing_bowl_is_a_single_tone_with_low_confidence(seed: int, *, rubbed: bool) -> None:
    hz = 180.0 * 1.23**seed
    report = estimate_tuning(tones.bowl(hz, rubbed=rubbed, seed=seed), RATE)
    assert report.reason in {None, Reason.AMBIGUOUS}
    assert abs(off(report, hz)) < 5.0
    assert abs(off(report, hz)) < 2 * (report.uncertainty_cents or 0)
    assert report.confidence <= 0.6
    assert "single_tone" in report.remarks
    assert report.dominant_hz == pytest.approx(hz, rel=0.003)


def test_a_falling_tone_has_the_tuning_moves_remark() -> None:
    seconds = np.arange(30 * RATE) / RATE
    turns = np.cumsum(440.0 * 2 ** (-seconds / 3 / 1200)) * (2 * math.pi / RATE)
    report = estimate_tuning(np.asarray(0.3 * np.sin(turns), np.float32), RATE)
    drift = [cents for cents in report.drift_cents if cents is not None]
    assert drift[0] > 2
    assert drift[-1] < -2
    assert (report.uncertainty_cents or 0) > 2


def tom() -> Samples:
    """A drum, struck twice a second: three modes of the skin and the noise of the stick."""
    random = np.random.default_rng(6)
    since = np.arange(12 * RATE) / RATE % 0.5
    skin = sum(np.exp(-since * 12 * k) * np.sin(2 * math.pi * 97.0 * k * since) for k in (1.0, 1.59, 2.14))
    return np.asarray(0.2 * (skin + np.exp(-since * 30) * random.standard_normal(since.size)), np.float32)


def alternating() -> Samples:
    """A siren of two tones."""
    return tones.melody(440.0, notes=[730.0, 1130.0], note_seconds=0.7)


@pytest.mark.parametrize("make", [tom, alternating], ids=lambda make: make.__name__)
def test_a_drum_and_a_siren_are_not_single_tones(make: Callable[[], Samples]) -> None:
    report = estimate_tuning(make(), RATE)
    assert not {"pure_tone", "single_tone"} & set(report.remarks)


def test_a_drone_under_a_melody_is_not_a_single_tone() -> None:
    line = tones.melody(436.0)
    drone = tones.harmonic(436.0 / 4, seconds=20, level=0.06)
    report = estimate_tuning(line + drone[: line.size], RATE)
    assert not {"pure_tone", "single_tone"} & set(report.remarks)
    assert abs(off(report, 436.0)) < 1.0


@pytest.mark.parametrize("over_db", [-3.0, 10.0, 24.0])
def test_hum_under_music_does_not_become_the_estimate(over_db: float) -> None:
    line = tones.melody(436.0, stretch=0.0)
    hum = tones.sine(50.0, seconds=line.size / RATE)[: line.size]
    hum *= 10 ** (over_db / 20) * np.sqrt(np.mean(line**2) / np.mean(hum**2))
    report = estimate_tuning(line + hum, RATE)
    assert abs(off(report, 436.0)) < 1.0
    assert report.confidence > 0.8
    assert not {"pure_tone", "single_tone"} & set(report.remarks)


def waving(amplitude: Callable[[int], float], hz: float) -> Samples:
    """A steady tone with all harmonics up to 20 kHz."""
    turns = 2 * math.pi * hz * np.arange(8 * RATE) / RATE
    orders = range(1, int(min(20000.0, RATE / 2) / hz))
    wave = sum(amplitude(h) * np.sin(h * turns + 0.7 * h * h) for h in orders)
    return np.asarray(0.3 * wave / np.abs(wave).max(), np.float32)


def saw(order: int) -> float:
    return 1 / order


def square(order: int) -> float:
    return order % 2 / order


def pulse(order: int) -> float:
    return abs(math.sin(math.pi * order / 4)) / order


@pytest.mark.parametrize("hz", [54.0, 108.0, 216.0, 432.0])
@pytest.mark.parametrize("amplitude", [saw, square, pulse], ids=lambda wave: wave.__name__)
def test_a_synthesizer_waveform_is_a_single_tone(amplitude: Callable[[int], float], hz: float) -> None:
    report = estimate_tuning(waving(amplitude, hz), RATE)
    assert report.verdict is Verdict.A432
    assert report.confidence > 0.9
    assert "pure_tone" not in report.remarks


@pytest.mark.parametrize("cents", [5.0, 10.0, 15.0])
@pytest.mark.parametrize("partials", [1, 6])
def test_a_little_vibrato_keeps_the_confidence_of_a_single_tone(partials: int, cents: float) -> None:
    time = np.arange(15 * RATE) / RATE
    swing = 440.0 * (2 ** (cents / 1200) - 1) / 5.5 * np.sin(2 * math.pi * 5.5 * time)
    turns = 2 * math.pi * 440.0 * time + swing
    tone = sum(np.sin(h * turns) / h for h in range(1, partials + 1))
    report = estimate_tuning(np.asarray(0.1 * tone, np.float32), RATE)
    assert report.verdict is Verdict.A440
    assert report.confidence > 0.9


def test_deep_tremolo_keeps_the_confidence_of_a_single_tone() -> None:
    time = np.arange(15 * RATE) / RATE
    tremolo = 1 + 0.8 * np.sin(2 * math.pi * 6.0 * time)
    report = estimate_tuning(
        np.asarray(0.15 * tremolo * np.sin(2 * math.pi * 440.0 * time), np.float32), RATE
    )
    assert report.verdict is Verdict.A440
    assert report.confidence > 0.9


def test_the_interval_of_two_beating_sines_covers_both() -> None:
    beating = tones.sine(874.0, seconds=15) + tones.sine(886.0, seconds=15)
    report = estimate_tuning(beating, RATE)
    assert (report.uncertainty_cents or 0) > 11.0
    assert report.confidence < 0.5


def test_the_drift_of_a_stepping_single_tone_is_reported() -> None:
    before, after = tones.sine(440.0, seconds=10), tones.sine(440.0 * 2 ** (8 / 1200), seconds=12)
    report = estimate_tuning(np.concatenate([before, after]), RATE)
    low, high = report.drift_cents
    assert low is not None
    assert high is not None
    assert high - low == pytest.approx(8.0, abs=0.2)


def is_single_tone(levels: Sequence[float | None]) -> bool:
    """Whether a tone with these levels per frame (None: silent) is a single tone."""
    decoded = [(frame, 0.0, level) for frame, level in enumerate(levels) if level is not None]
    return find_single_tone(make_peaks(decoded), 440.0, 1) is not None


def test_a_decaying_or_beating_tone_is_a_single_tone() -> None:
    assert is_single_tone([-0.2 * frame for frame in range(100)])
    assert is_single_tone([3.0 * math.sin(frame) for frame in range(100)])


def test_a_repeated_note_is_not_a_single_tone() -> None:
    """Or a drum: each stroke is a step of 20 dB."""
    assert not is_single_tone([-4.0 * (frame % 6) for frame in range(100)])


def test_a_glide_that_passes_a_pitch_is_not_a_single_tone() -> None:
    """As in sirens and chirps."""
    assert is_single_tone([0.0 if frame % 4 else None for frame in range(100)])
    assert not is_single_tone([None if frame % 4 else 0.0 for frame in range(100)])

"""Every format starts where it was asked to, found by cross-correlation with what was recorded."""

import io

import numpy as np
import pytest
import scipy.signal
from numpy.typing import NDArray

from tests.support.audio_files import KINDS, encoded
from worker.decoding.decode import decode

RATE = 4_000
SECONDS = 16
STORED_RATES = {
    "amr": 8_000,
    "ogg-opus": 48_000,
    "webm-opus": 48_000,
    "wav-g722": 16_000,
    "flv-nellymoser": 22_050,
}
# Encoders delay what they encode, and their files don't always say by how much.
MAX_DELAY_SECONDS = 0.06


def landscape() -> NDArray[np.float64]:
    """Return slow noise at `RATE` Hz that looks different everywhere."""
    noise = np.random.default_rng(3).standard_normal(SECONDS * RATE)
    sound = scipy.signal.lfilter([1.0], [1.0, -0.9], noise)
    return np.asarray(0.1 * sound / np.std(sound))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "mp3-id3"])
def test_a_window_begins_where_it_says(kind: str) -> None:
    rate = STORED_RATES.get(kind, 44_100)
    sound = landscape()
    stored = np.interp(np.arange(SECONDS * rate) * RATE / rate, np.arange(len(sound)), sound)
    file = encoded(kind, stored.astype(np.float32)[:, None], rate=rate)
    for start in (5.3, 13.7):
        recording = decode(io.BytesIO(file), start_seconds=start, window_seconds=60)
        assert recording.start_seconds == pytest.approx(start, abs=0.1)
        assert recording.seconds == pytest.approx(SECONDS - start, abs=0.15)
        heard = np.interp(
            np.arange(int(recording.seconds * RATE)) * recording.sample_rate / RATE,
            np.arange(len(recording.samples)),
            recording.samples,
        )[RATE // 2 : 2 * RATE]
        likeness = np.abs(scipy.signal.fftconvolve(sound, heard[::-1], mode="valid"))
        place = float(np.argmax(likeness)) / RATE - 0.5
        assert place == pytest.approx(recording.start_seconds, abs=MAX_DELAY_SECONDS)

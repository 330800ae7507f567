"""A little piece of music in any tuning, for eyes and ears that a sine wave would bore."""

import io

import numpy as np
import soundfile

RATE = 44_100
_CHORDS = ((57, 60, 64, 69), (53, 57, 60, 65), (48, 55, 60, 64), (55, 59, 62, 67))


def make_song(a4_hz: float, *, seconds: float = 24.0, seed: int = 1) -> bytes:
    """An arpeggio over four chords with a bass, as WAV."""
    chance = np.random.default_rng(seed)
    song = np.zeros(int(seconds * RATE) + 4 * RATE)
    for step in range(int(seconds * 4)):
        chord = _CHORDS[step // 8 % len(_CHORDS)]
        notes = [chord[step % len(chord)] + 12 * (step % 3 == 2)]
        if step % 8 == 0:
            notes.append(chord[0] - 12)
        for note in notes:
            hz = a4_hz * 2 ** ((note - 69) / 12)
            time = np.arange(2 * RATE) / RATE
            tone = sum(
                np.sin(2 * np.pi * hz * number * time + chance.uniform(0, 6)) / number**1.6
                * np.exp(-time * (1.5 + number))
                for number in range(1, 9)
            )  # fmt: skip
            begin = int((step / 4 + chance.normal(0, 0.004) + 0.02) * RATE)
            song[begin : begin + len(time)] += np.asarray(tone)
    song += chance.normal(0, 0.002, len(song))
    file = io.BytesIO()
    soundfile.write(file, 0.5 * song[: int(seconds * RATE)] / np.abs(song).max(), RATE, format="WAV")
    return file.getvalue()

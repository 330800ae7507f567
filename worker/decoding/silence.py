"""Tells digital silence that went through a codec from music."""

import numpy as np
from numpy.typing import NDArray

_LOSSLESS = (
    "alac", "ape", "dsd", "double", "flac", "float", "mlp", "pcm", "tak", "truehd", "tta",
    "wavpack", "wmalossless",
)  # fmt: skip
_SPEECH = ("amr", "g723", "g726", "g729", "gsm", "ilbc", "nellymoser", "qcelp", "sipr", "speex", "wmavoice")
# Root mean square, full scale at 1. Measured of silence: Nellymoser and G.723.1 -95 dB, AMR -112 dB,
# AC-3 -120 dB, Speex -125 dB; all other lossy codecs keep zeros. 16-bit audio has -96 dB between two steps.
_MAX_SPEECH_SILENCE = 10 ** (-90 / 20)
_MAX_LOSSY_SILENCE = 10 ** (-105 / 20)
_MAX_SILENCE = 10 ** (-115 / 20)


def is_silent(samples: NDArray[np.float32], codec: str) -> bool:
    """Whether *samples*, shape (frames,), hold no more than what *codec* makes of silence."""
    if codec.startswith(_SPEECH):
        limit = _MAX_SPEECH_SILENCE
    else:
        limit = _MAX_SILENCE if codec.startswith(_LOSSLESS) else _MAX_LOSSY_SILENCE
    power = sum(float(np.dot(part, part)) for part in np.array_split(samples, 64))
    return power <= limit**2 * len(samples)

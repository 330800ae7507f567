"""Tells digital silence that went through a codec from music."""

import numpy as np
from numpy.typing import NDArray

_LOSSLESS = (
    "alac", "ape", "dsd", "double", "flac", "float", "mlp", "pcm", "tak", "truehd", "tta",
    "wavpack", "wmalossless",
)  # fmt: skip
_SPEECH = (
    "adpcm_g72",
    "amr",
    "g723",
    "g726",
    "g729",
    "gsm",
    "ilbc",
    "nellymoser",
    "qcelp",
    "sipr",
    "speex",
    "wmavoice",
)
# Root mean square without a constant offset, full scale at 1. Measured of silence: G.722 and GSM -88 dB,
# Nellymoser and G.723.1 -95 dB, Opus at 6 kbit/s -98 dB, Speex -102 to -125 dB, AMR -111 dB, AC-3 -120 dB.
# All other lossy codecs keep zeros. A-law and GSM add an offset of -72 and -66 dB. 16-bit audio has -96 dB
# between two steps, GSM -78 dB.
_MAX_SPEECH_SILENCE = 10 ** (-84 / 20)
_MAX_OPUS_SILENCE = 10 ** (-95 / 20)
_MAX_LOSSY_SILENCE = 10 ** (-105 / 20)
_MAX_SILENCE = 10 ** (-115 / 20)


def is_silent(samples: NDArray[np.float32], codec: str) -> bool:
    """Whether *samples*, shape (frames,), hold no more than what *codec* makes of silence."""
    if codec.startswith(_SPEECH):
        limit = _MAX_SPEECH_SILENCE
    elif codec == "opus":
        limit = _MAX_OPUS_SILENCE
    else:
        limit = _MAX_SILENCE if codec.startswith(_LOSSLESS) else _MAX_LOSSY_SILENCE
    offset = samples.mean(dtype=np.float64)
    power = sum(float(np.square(part - offset).sum()) for part in np.array_split(samples, 64))
    return power <= limit**2 * len(samples)

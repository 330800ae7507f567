"""Pay for librosa once: whatever loads or compiles on first use, done in the parent before it forks."""

import io

import numpy as np
import soundfile

from worker.listen import listen


def warm_up() -> None:
    """Send a short tone through the whole analysis."""
    rate = 22_050
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    file = io.BytesIO()
    soundfile.write(file, tone, rate, format="WAV")
    file.seek(0)
    listen(file, start_seconds=0.0, window_seconds=1.0)

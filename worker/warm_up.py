"""Pay for librosa once: whatever loads or compiles on first use, done in the parent before it forks.

The child that decodes can open no file, so what is not imported here can never be imported there.
"""

import importlib
import io
import pkgutil

import av
import numpy as np
import soundfile

from worker.jobs.analyze_audio import analyze_audio


def warm_up() -> None:
    """Load every part of PyAV, and send a short tone through the whole analysis."""
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    rate = 22_050
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    file = io.BytesIO()
    soundfile.write(file, tone, rate, format="WAV")
    file.seek(0)
    analyze_audio(file, start_seconds=0.0, window_seconds=1.0)

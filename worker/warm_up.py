"""Loads and compiles everything that the analysis needs, once, in the parent before it forks.

The sandboxed child cannot open files, so it cannot import what is not imported here.
"""

import importlib
import io
import pkgutil

import av
import numpy as np
import soundfile

from worker.jobs.analyze_audio import analyze_audio


def warm_up() -> None:
    """Import every module of PyAV, and run the whole analysis on a short tone."""
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    rate = 22_050
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    file = io.BytesIO()
    soundfile.write(file, tone, rate, format="WAV")
    file.seek(0)
    analyze_audio(file, start_seconds=0.0, window_seconds=1.0)

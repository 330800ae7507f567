"""The two endpoints that Kammerton replaces, as small as they were.

`whole_file` decodes the whole song in the web process, `first_minute` a minute of it.
"""

import io

import librosa
import numpy as np
from fastapi import FastAPI, Request
from scipy.fft import rfft, rfftfreq

whole_file = FastAPI()
first_minute = FastAPI()


@whole_file.post("/upload")
async def analyze_whole_file(request: Request) -> dict[str, float]:
    return dominant(*librosa.load(io.BytesIO(await request.body()), sr=None, mono=True))


@first_minute.post("/upload")
async def analyze_first_minute(request: Request) -> dict[str, float]:
    return dominant(*librosa.load(io.BytesIO(await request.body()), sr=None, mono=True, duration=60))


def dominant(samples: np.ndarray, rate: float) -> dict[str, float]:
    spectrum = np.abs(rfft(samples))
    return {"dominant_hz": float(rfftfreq(len(samples), 1 / rate)[np.argmax(spectrum)])}

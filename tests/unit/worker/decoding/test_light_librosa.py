import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]


def printed(code: str) -> str:
    """What a new process prints. In this one librosa is loaded already."""
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


DECODE = """
import hashlib, io, numpy as np, soundfile
from worker.decoding.decode import decode
file = io.BytesIO()
tones = np.sin(np.outer(np.arange(30_000), [0.05, 0.07]))
soundfile.write(file, tones, 44_100, format="FLAC")
recording = decode(file, start_seconds=0.2, window_seconds=10.0)
print(recording.sample_rate, round(recording.seconds, 3), hashlib.sha256(recording.samples).hexdigest())
"""


def test_decoding_is_the_same_with_the_light_import() -> None:
    light = printed("from worker.decoding.light_librosa import import_librosa; import_librosa()\n" + DECODE)
    assert light.split()[1] == "0.48"
    assert light == printed(DECODE)


def test_the_analysis_loads_neither_numba_nor_the_estimators_of_librosa() -> None:
    loaded = printed(
        "from worker.decoding.light_librosa import import_librosa; import_librosa()\n"
        "from worker.warm_up import warm_up; warm_up()\n"
        "import sys; print(*sorted({'librosa.core.audio', 'numba', 'scipy.signal'} & {*sys.modules}))"
    )
    assert loaded == "librosa.core.audio"


def test_a_process_that_has_all_of_librosa_keeps_it() -> None:
    assert (
        printed(
            "import librosa.core.audio, sys; from worker.decoding.light_librosa import import_librosa\n"
            "import_librosa(); print('numba' in sys.modules, type(sys.modules['scipy.signal']).__name__)"
        )
        == "True module"
    )

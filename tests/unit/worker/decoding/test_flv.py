"""FLV: a window is found by the times of tags, whatever lies between them."""

import io
import tempfile
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from shared.errors import Undecodable
from tests.support.audio_files import audio_file, damaged_copies
from tests.support.long_kinds import LONG_KINDS
from worker.decoding.byte_source import ByteSource
from worker.decoding.decode import decode
from worker.decoding.seeking.flv_tags import FlvTags

TONES_HZ = (300.0, 500.0)


def film(seconds: int) -> bytes:
    """Return video and a tone that changes in the middle."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "film.flv")
        with av.open(str(path), "w", format="flv") as container:
            picture = container.add_stream("flv1", rate=10)
            sound = container.add_stream("aac", rate=16_000)
            assert isinstance(picture, VideoStream)
            assert isinstance(sound, AudioStream)
            picture.width = picture.height = 128
            sound.layout = "mono"
            random = np.random.default_rng(1)
            for second in range(seconds):
                for _ in range(10):
                    image = random.integers(0, 255, (128, 128, 3), np.uint8)
                    container.mux(picture.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
                times = second + np.arange(16_000) / 16_000
                wave = 0.3 * np.sin(2 * np.pi * TONES_HZ[second >= seconds // 2] * times)
                frame = av.AudioFrame.from_ndarray(
                    wave[None].astype(np.float32), format="fltp", layout="mono"
                )
                frame.sample_rate, frame.pts = 16_000, second * 16_000
                container.mux(sound.encode(frame))
            container.mux(picture.encode(None))
            container.mux(sound.encode(None))
        return path.read_bytes()


def tags(content: bytes) -> FlvTags:
    return FlvTags(ByteSource(io.BytesIO(content)).read_range, size=len(content))


def test_audio_between_video_is_found() -> None:
    content = film(40)
    place = tags(content).place_before(30)
    assert place is not None
    assert 25 < place.seconds < 30
    recording = decode(io.BytesIO(content), start_seconds=19, window_seconds=2)
    assert recording.start_seconds == pytest.approx(19, abs=0.1)
    half = len(recording.samples) // 2
    heard = [np.argmax(np.abs(np.fft.rfft(part))) for part in np.split(recording.samples[: 2 * half], 2)]
    assert heard == pytest.approx(TONES_HZ, abs=3)


def test_a_start_past_the_end_tells_the_length() -> None:
    with pytest.raises(Undecodable, match="ends after 7199 seconds"):
        decode(io.BytesIO(LONG_KINDS["flv-aac"]().content), start_seconds=9_000, window_seconds=10)


@pytest.mark.parametrize("share", [0.02, 0.4, 0.999])
def test_a_cut_file_ends_where_it_was_cut(share: float) -> None:
    content = LONG_KINDS["flv-aac"]().content
    cut = content[: int(share * len(content))]
    assert tags(cut).duration_seconds == pytest.approx(share * 7_200, abs=3)


@pytest.mark.parametrize("junk", [bytes(70_000), b"\x08" * 70_000, b"\x08\0\1\0" * 20_000])
def test_junk_between_tags_is_stepped_over(junk: bytes) -> None:
    content = LONG_KINDS["flv-aac"]().content
    cut = len(content) // 2
    place = tags(content[:cut] + junk + content[cut:]).place_before(5_000)
    assert place is not None
    assert 4_900 < place.seconds < 5_000


def test_damaged_tags_end_as_a_result_or_a_problem() -> None:
    content = audio_file("flv-nellymoser", seconds=8.0)
    for damaged in damaged_copies(content, count=60):
        with suppress(Undecodable):
            assert decode(io.BytesIO(damaged), start_seconds=5, window_seconds=2).seconds > 0

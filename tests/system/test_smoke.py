"""From a request body to a report, through real processes and real servers."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile

from tests.support.audio_files import audio_file
from tests.support.system import System

MIB = 1024 * 1024
FORMATS = {
    "mp3-cbr": ("song.mp3", "audio/mpeg"),
    "m4a": ("song.m4a", "audio/mp4"),
    "flac": ("song.flac", "audio/flac"),
    "ogg-vorbis": ("song.ogg", "audio/ogg"),
    "ogg-opus": ("song.opus", "audio/ogg"),
    "wav": ("song.wav", "audio/wav"),
    "webm-opus": ("song.webm", "video/webm"),
    "wma": ("song.wma", "audio/x-ms-wma"),
    "alac": ("song.m4a", "audio/mp4"),
}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("form", [True, False], ids=["form", "raw"])
def test_a_song_of_each_format_gets_its_tuning(system: System, kind: str, form: bool) -> None:
    name, media_type = FORMATS[kind]
    audio = audio_file(kind, seconds=4.0)
    if form:
        answer = system.client.post("/v1/jobs", files={"file": (name, audio, media_type)})
    else:
        answer = system.client.post(
            "/v1/jobs", params={"filename": name}, content=audio, headers={"Content-Type": media_type}
        )
    assert answer.status_code == 202, answer.text
    job = system.finished(answer.headers["location"])
    assert job["state"] == "succeeded", job["problem"]
    assert job["attempts"] == 1
    assert job["input"]["filename"] == name
    report = job["report"]
    assert abs(report["a4_hz"] - 440.0) < 0.3
    assert report["verdict"] == "440"
    assert report["audio"]["analysed_seconds"] == pytest.approx(4.0, abs=0.2)


def wave_header(data_bytes: int, *, channels: int = 2, rate: int = 44_100) -> bytes:
    block = channels * 2
    return (
        b"RIFF" + (36 + data_bytes).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
        + (1).to_bytes(2, "little") + channels.to_bytes(2, "little") + rate.to_bytes(4, "little")
        + (rate * block).to_bytes(4, "little") + block.to_bytes(2, "little") + (16).to_bytes(2, "little")
        + b"data" + data_bytes.to_bytes(4, "little")
    )  # fmt: skip


def make_wav(a4_hz: float, *, seconds: int) -> Iterator[bytes]:
    """A stereo A4 with harmonics, a second at a time; whole periods, so that the seconds join."""
    rate = 44_100
    time = np.arange(rate) / rate
    tone = sum(np.sin(2 * np.pi * a4_hz * number * time) / number for number in range(1, 5))
    second = np.repeat((6_000 * np.asarray(tone)).astype("<i2"), 2).tobytes()
    yield wave_header(seconds * len(second))
    for _ in range(seconds):
        yield second


def test_the_check_that_the_original_service_was_verified_with(system: System) -> None:
    location = system.submit(b"".join(make_wav(432.0, seconds=120)), **{"Content-Type": "audio/wav"})
    report = system.finished(location)["report"]
    assert report["verdict"] == "432"
    assert abs(report["a4_hz"] - 432.0) <= 0.05
    assert report["audio"]["analysed_seconds"] == pytest.approx(60.0)


def test_only_the_window_of_a_long_recording_is_read(system: System) -> None:
    seconds = 300_000_000 // (44_100 * 4)
    answer = system.client.post(
        "/v1/jobs",
        content=make_wav(440.0, seconds=seconds),
        headers={"Content-Type": "audio/wav"},
        timeout=300,
    )
    assert answer.status_code == 202, answer.text
    job = system.finished(answer.headers["location"])
    assert job["state"] == "succeeded"
    assert job["input"]["bytes"] > 299_000_000
    assert job["report"]["audio"]["bytes_read"] <= 60 * 44_100 * 4 + 2 * MIB


def test_start_seconds_selects_the_window(system: System) -> None:
    rate = 22_050
    time = np.arange(10 * rate) / rate
    tones = np.concatenate([np.sin(2 * np.pi * 440 * time), np.sin(2 * np.pi * 432 * time)])
    file = io.BytesIO()
    soundfile.write(file, 0.5 * tones, rate, format="FLAC")
    answer = system.client.post(
        "/v1/jobs", files={"file": ("a.flac", file.getvalue())}, data={"start_seconds": "10"}
    )
    report = system.finished(answer.headers["location"])["report"]
    assert report["audio"]["start_seconds"] == 10.0
    assert report["a4_hz"] == pytest.approx(432.0, abs=0.05)


BAD = {
    "text named mp3": b"This is no music, though its name says so.\n" * 50,
    "two bytes": b"\xff\xfb",
    "header only": wave_header(1_000_000),
    "noise of bytes": bytes(np.random.default_rng(1).integers(0, 256, 100_000, dtype=np.uint8)),
}


@pytest.mark.parametrize("case", BAD)
def test_a_file_without_audio_fails_with_a_problem_or_is_refused(system: System, case: str) -> None:
    answer = system.client.post("/v1/jobs", files={"file": ("song.mp3", BAD[case], "audio/mpeg")})
    if answer.status_code == 415:
        assert len(answer.json()["detail"]) > 20
        return
    job = system.finished(answer.headers["location"])
    assert job["state"] == "failed"
    assert job["problem"]["retryable"] is False
    assert len(job["problem"]["message"]) > 20


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3-cbr", "ogg-vorbis", "m4a", "aiff"])
def test_a_truncated_file_has_a_result_or_a_problem(system: System, kind: str) -> None:
    audio = audio_file(kind, seconds=4.0)
    job = system.finished(system.submit(audio[: len(audio) // 2], **{"Content-Type": "audio/mpeg"}))
    assert job["state"] in {"succeeded", "failed"}
    assert job["attempts"] == 1


def test_a_false_header_gives_the_audio_that_exists(system: System) -> None:
    audio = b"".join(make_wav(440.0, seconds=3))
    lying = wave_header(4_000_000_000) + audio[44:]
    report = system.finished(system.submit(lying, **{"Content-Type": "audio/wav"}))["report"]
    assert report["audio"]["analysed_seconds"] == pytest.approx(3.0)
    assert report["verdict"] == "440"


def test_eight_channels_at_192_khz_stay_within_the_limits(system: System) -> None:
    rate = 192_000
    frames = np.sin(2 * np.pi * 440 * np.arange(10 * rate) / rate).astype(np.float32)
    file = io.BytesIO()
    soundfile.write(file, np.repeat(frames[:, None] / 2, 8, axis=1), rate, format="WAV")
    job = system.finished(system.submit(file.getvalue(), **{"Content-Type": "audio/wav"}))
    assert job["state"] == "succeeded"
    assert job["report"]["audio"]["channels"] == 8
    assert job["timeline"][-1]["memory_peak_bytes"] < 200 * MIB


def test_nothing_stays_in_storage(system: System) -> None:
    for content, content_type in (
        (b"", "audio/mpeg"),
        (b"x", "text/plain"),
        (b"no form", "multipart/form-data; boundary=x"),
    ):
        assert system.client.post(
            "/v1/jobs", content=content, headers={"Content-Type": content_type}
        ).is_error
    assert system.stored() == []


def test_an_interactive_job_never_waits_behind_a_batch(system: System) -> None:
    audio = audio_file("flac", seconds=30.0)

    def submit(queue: str) -> str:
        answer = system.client.post("/v1/jobs", params={"queue": queue}, content=audio)
        assert answer.status_code == 202, answer.text
        return str(answer.headers["location"])

    batch = [submit("batch") for _ in range(40)]
    person = system.finished(submit("interactive"))
    started = [system.finished(location)["started_at"] for location in batch]
    behind = [at for at in started if at > person["started_at"]]
    # those that were running already, and what each of the two slots may have taken up meanwhile, went before
    before_submitting = [at for at in started if at <= person["created_at"]]
    assert len(batch) - len(behind) <= len(before_submitting) + 2
    assert behind, "the batch was through before anybody came: too small to tell anything"

"""Every format is decode_bytes correctly, and hostile files end as a problem in limited memory."""

import io
import os
import random
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np
import pytest

from shared.errors import TooComplex, Unanalysable, Unavailable, Undecodable
from tests.support import hostile_files as hostile
from tests.support.audio_files import (
    KINDS,
    LIBSNDFILE,
    MULTICHANNEL_KINDS,
    TONE_HZ,
    audio_file,
    encoded,
    id3_tag,
    multichannel_file,
    soundfile_bytes,
    tone,
    two_tracks,
    video,
    wav,
)
from worker.decoding.byte_source import MAX_BYTES_WITHOUT_AUDIO
from worker.decoding.decode import decode
from worker.decoding.window import Recording
from worker.sandbox.limits import ChildLimits
from worker.sandbox.outcome import ChildOutcome
from worker.sandbox.parent import run_sandboxed
from worker.warm_up import warm_up

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MIB = 1 << 20
LIMITS = ChildLimits(memory_bytes=96 * MIB, cpu_seconds=20, wall_seconds=40)


def decode_bytes(file: bytes, *, start_seconds: float = 0, window_seconds: float = 60) -> Recording:
    return decode(io.BytesIO(file), start_seconds=start_seconds, window_seconds=window_seconds)


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    """Load, as the worker's parent does, what a child can't."""
    warm_up()


def decode_in_sandbox(audio: BinaryIO) -> ChildOutcome:
    """Decode as the product does; the answer is the recording's seconds and rate."""

    def task(file: BinaryIO) -> bytes:
        recording = decode(file, start_seconds=0, window_seconds=60)
        return f"{recording.seconds:.1f} s at {recording.sample_rate} Hz".encode()

    return run_sandboxed(task, audio, limits=LIMITS, on_tick=lambda: None)


def decoded_seconds(file: bytes) -> float:
    """Tell how much audio a file gives; none if it ends as a problem."""
    try:
        recording = decode_bytes(file)
    except Unanalysable:
        return 0.0
    assert np.isfinite(recording.samples).all()
    return recording.seconds


def frequency_hz(recording: Recording) -> float:
    """Tell the frequency of a sine: its strongest bin, then how its phase moves; good to 1e-4 Hz."""
    edge = recording.sample_rate // 10  # a codec's and a resampler's beginning and end are not the tone
    samples = recording.samples[edge:-edge].astype(np.float64)
    length = len(samples) // 2
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    near_hz = float(np.argmax(spectrum)) * recording.sample_rate / len(samples)
    probe = np.hanning(length) * np.exp(-2j * np.pi * near_hz * np.arange(length) / recording.sample_rate)
    turn = np.angle(np.sum(samples[length : 2 * length] * probe) / np.sum(samples[:length] * probe))
    whole = near_hz * length / recording.sample_rate % 1
    turns = (turn / (2 * np.pi) - whole + 0.5) % 1 - 0.5
    return float(near_hz + turns * recording.sample_rate / length)


def cents(hz: float) -> float:
    return 1200 * float(np.log2(hz / TONE_HZ))


class CountingAudio(io.RawIOBase):
    """A file of *size* bytes made of a head and a body repeated, as large as we like, counting reads."""

    def __init__(self, body: bytes, *, head: bytes = b"", size: int | None = None) -> None:
        self._head = head
        self._body = body
        self._size = len(head) + len(body) if size is None else size
        self._position = 0
        self.bytes_read = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        count = max(0, min(len(view), self._size - self._position))
        data = self._head[self._position : self._position + count]
        while len(data) < count:
            at = (self._position + len(data) - len(self._head)) % len(self._body)
            data += self._body[at : at + count - len(data)]
        view[:count] = data
        self._position += count
        self.bytes_read += count
        return count


def bytes_read_for_a_minute(audio: CountingAudio) -> int:
    """Decode a minute as the product does, through 256 KiB reads; returns what was read from storage."""
    buffered = io.BufferedReader(cast(io.RawIOBase, audio), 256 * 1024)
    recording = decode(buffered, start_seconds=0, window_seconds=60)
    assert recording.seconds == 60
    return audio.bytes_read


@pytest.mark.parametrize("kind", KINDS)
def test_each_format_keeps_its_pitch(kind: str) -> None:
    recording = decode_bytes(audio_file(kind, seconds=3.0))
    assert abs(cents(frequency_hz(recording))) < 0.05
    assert 2.8 < recording.seconds < 3.2
    assert recording.samples.dtype == np.float32
    assert recording.start_seconds < 0.15
    assert recording.duration_seconds == pytest.approx(3.0, abs=0.2)


def test_the_audio_track_of_a_video_is_decoded() -> None:
    recording = decode_bytes(video())
    assert (recording.container, recording.codec) == ("mp4", "aac")
    assert abs(cents(frequency_hz(recording))) < 0.05


@pytest.mark.parametrize("kind", ["mp3-cbr", "mp3-no-xing", "flac", "aac", "ac3", "tta"])
def test_a_large_picture_before_the_audio_is_skipped(kind: str) -> None:
    picture = random.Random(1).randbytes(3 * MIB)
    recording = decode_bytes(id3_tag([(b"APIC", picture)]) + audio_file(kind))
    assert abs(cents(frequency_hz(recording))) < 0.05


@pytest.mark.parametrize(
    ("kind", "container", "codec", "channels"),
    [
        ("wav", "wav", "pcm_16", 2),
        ("flac", "flac", "flac", 2),
        ("ogg-vorbis", "ogg", "vorbis", 2),
        ("ogg-opus", "ogg", "opus", 2),
        ("mp3-cbr", "mp3", "mp3", 2),
        ("m4a", "mp4", "aac", 2),
        ("alac", "mp4", "alac", 2),
        ("webm-opus", "matroska", "opus", 2),
        ("wma", "asf", "wmav2", 2),
        ("amr", "amr", "amr_nb", 1),
    ],
)
def test_a_recording_reports_container_codec_and_channels(
    kind: str, container: str, codec: str, channels: int
) -> None:
    recording = decode_bytes(audio_file(kind))
    assert (recording.container, recording.codec, recording.channels) == (container, codec, channels)


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 48_000, 88_200, 96_000, 176_400, 192_000, 352_800])
def test_every_sample_rate_keeps_its_pitch_to_a_hundredth_of_a_cent(rate: int) -> None:
    recording = decode_bytes(wav(tone(4.0, rate=rate), rate=rate))
    assert abs(cents(frequency_hz(recording))) < 0.01
    assert recording.stored_sample_rate == rate
    assert recording.sample_rate == min(rate, 48_000)


def test_fast_recordings_of_many_channels_keep_their_pitch() -> None:
    sound = tone(2.0, rate=655_350, channels=8)
    flac = soundfile_bytes(sound, rate=655_350, container="FLAC", codec="PCM_24")
    recording = decode_bytes(flac)
    assert abs(cents(frequency_hz(recording))) < 0.01
    assert (recording.channels, recording.sample_rate) == (8, 48_000)


@pytest.mark.parametrize("kind", MULTICHANNEL_KINDS)
def test_surround_sound_is_decoded_without_a_crash(kind: str) -> None:
    layouts = ("5.1", "7.1(wide)") if kind == "alac-m4a" else ("5.1", "6.1", "7.1")
    for layout in layouts:
        outcome = decode_in_sandbox(io.BytesIO(multichannel_file(kind, layout)))
        assert outcome.unwrap() in (b"1.0 s at 44100 Hz", b"1.0 s at 48000 Hz", b"1.1 s at 44100 Hz")
        assert not outcome.detail


@pytest.mark.parametrize("kind", ["rf64-claims-2^63", "w64-claims-2^63"])
def test_a_wav_of_64_bit_sizes_may_claim_anything(kind: str) -> None:
    outcome = decode_in_sandbox(io.BytesIO(hostile.hostile_file(kind)))
    assert outcome.problem is None or isinstance(outcome.problem, Unanalysable), outcome.detail


@pytest.mark.parametrize("seconds", [1.0, 40.0])
def test_channels_of_opposite_phase_do_not_cancel_out(seconds: float) -> None:
    sound = tone(seconds)
    sound[:, 1] *= -1
    recording = decode_bytes(wav(sound))
    assert np.abs(recording.samples).max() > 0.3
    assert abs(cents(frequency_hz(recording))) < 0.05


def test_a_channel_of_nan_does_not_lose_the_other() -> None:
    sound = tone(2.0)
    sound[:, 0] = np.nan
    recording = decode_bytes(wav(sound, codec="FLOAT"))
    assert abs(cents(frequency_hz(recording))) < 0.05


def test_a_single_huge_sample_does_not_silence_the_music() -> None:
    sound = tone(2.0)
    sound[30_000] = 1e8
    assert np.median(np.abs(decode_bytes(wav(sound, codec="FLOAT")).samples)) > 0.1


@pytest.mark.parametrize(("silent", "default"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_the_first_track_that_is_not_silent_is_decoded(silent: int, default: int) -> None:
    tracks = [tone(1.0, channels=1), tone(1.0, channels=1)]
    tracks[silent] = np.zeros_like(tracks[silent])
    recording = decode_bytes(two_tracks(tracks[0], tracks[1], default=default))
    assert recording.track.index == 2 - silent
    assert abs(cents(frequency_hz(recording))) < 0.05


@pytest.mark.parametrize("default", [0, 1])
def test_the_default_track_is_decoded_first(default: int) -> None:
    sounds = tone(1.0, channels=1), tone(1.0, channels=1, hz=880.0)
    recording = decode_bytes(two_tracks(*sounds, default=default))
    assert recording.track.index == default + 1


def test_a_track_of_an_unknown_codec_is_a_problem_of_the_file() -> None:
    plain = audio_file("wav-ima-adpcm")
    format_tag = plain.index(b"fmt ") + 8
    with pytest.raises(Undecodable):
        decode_bytes(plain[:format_tag] + b"\xee\x7e" + plain[format_tag + 2 :])


def test_audio_before_damage_is_decoded() -> None:
    whole = audio_file("m4a", seconds=20.0)
    start = whole.index(b"mdat") + 4
    middle = start + (len(whole) - start) // 2
    end = whole.rindex(b"moov") - 4
    recording = decode_bytes(whole[:middle] + bytes(end - middle) + whole[end:])
    assert recording.is_damaged
    assert recording.seconds == pytest.approx(10.0, abs=1.0)


def test_a_pause_that_a_decoder_cannot_read_does_not_end_the_audio() -> None:
    amr = audio_file("amr", seconds=3.0)
    recording = decode_bytes(amr + b"\x7c" * 1000 + amr[6:])
    assert recording.seconds > 5.5


@pytest.mark.parametrize("kind", ["amr", "flv-nellymoser", "ogg-opus", "mp3-cbr", "wav", "wav-g722"])
def test_silence_stays_silence_through_every_codec(kind: str) -> None:
    rate = {"amr": 8_000, "ogg-opus": 48_000, "flv-nellymoser": 22_050, "wav-g722": 16_000}.get(kind, 44_100)
    recording = decode_bytes(encoded(kind, np.zeros((2 * rate, 1), np.float32), rate=rate))
    assert not recording.samples.any()


@pytest.mark.parametrize(
    ("codec", "offset"), [("GSM610", 0.0), ("ALAW", 0.0), ("ULAW", 0.3), ("PCM_U8", 0.3), ("PCM_16", -0.9)]
)
def test_silence_with_an_offset_is_silence(codec: str, offset: float) -> None:
    silence = np.full((8_000, 1), offset, np.float32)
    recording = decode_bytes(soundfile_bytes(silence, rate=8_000, container="WAV", codec=codec))
    assert not recording.samples.any()


def test_silence_stays_silence_through_opus_for_speech() -> None:
    file = soundfile_bytes(
        np.zeros((16_000, 1), np.float32), rate=8_000, container="OGG", codec="OPUS", compression_level=1.0
    )
    assert not decode_bytes(file).samples.any()


def test_a_start_past_the_end_says_how_long_the_file_is() -> None:
    for kind in ("wav", "m4a", "aac"):
        with pytest.raises(Undecodable, match=r"ends after [23] seconds"):
            decode_bytes(audio_file(kind, seconds=3.0), start_seconds=10.0)


def test_an_unfinished_recording_is_told_from_a_damaged_one() -> None:
    whole = audio_file("m4a", seconds=3.0)
    with pytest.raises(Undecodable, match="its end is missing"):
        decode_bytes(whole[: len(whole) // 2])


@pytest.mark.parametrize("mark", [b"drms", b"enca"])
def test_an_encrypted_file_is_told_from_a_damaged_one(mark: bytes) -> None:
    with pytest.raises(Undecodable, match="encrypted"):
        decode_bytes(audio_file("m4a").replace(b"mp4a", mark, 1))


def test_zeros_in_a_list_chunk_are_skipped() -> None:
    zeros = b"INFO" + bytes(40_000)
    plain = wav()
    body = plain[8:36] + b"LIST" + len(zeros).to_bytes(4, "little") + zeros + plain[36:]
    recording = decode_bytes(b"RIFF" + len(body).to_bytes(4, "little") + body)
    assert recording.seconds == pytest.approx(1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_window_has_the_requested_length(kind: str) -> None:
    recording = decode_bytes(audio_file(kind, seconds=3.0), window_seconds=1.5)
    assert len(recording.samples) == round(1.5 * recording.sample_rate)


@pytest.mark.parametrize("kind", KINDS)
def test_a_window_starts_at_the_requested_position(kind: str) -> None:
    recording = decode_bytes(audio_file(kind, seconds=3.0), start_seconds=2.0)
    assert recording.start_seconds == pytest.approx(2.0, abs=0.06)
    assert recording.seconds == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("kind", KINDS)
def test_a_window_after_the_end_has_no_audio(kind: str) -> None:
    with pytest.raises(Undecodable) as problem:
        decode_bytes(audio_file(kind), start_seconds=100.0)
    assert problem.value.code == "no_audio"


@pytest.mark.parametrize("kind", KINDS)
def test_a_tenth_of_a_second_is_decoded(kind: str) -> None:
    assert 0.05 < decode_bytes(audio_file(kind, seconds=0.1)).seconds < 0.25


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.02, 0.4, 0.7, 0.97])
def test_a_truncated_file_gives_the_rest_or_a_problem(kind: str, share: float) -> None:
    whole = audio_file(kind, seconds=3.0)
    part = whole[: int(share * len(whole))]
    if kind in ("m4a", "alac"):  # their index comes last
        with pytest.raises(Undecodable):
            decode_bytes(part)
    elif share < 0.1:  # some are all header here
        assert 0 <= decoded_seconds(part) < 0.3
    else:
        assert share - 0.4 < decoded_seconds(part) / 3.0 < share + 0.1


def test_no_samples_are_added_if_a_file_ends_early() -> None:
    flac = audio_file("flac", seconds=3.0)
    recording = decode_bytes(flac[: len(flac) // 2])
    last = recording.samples[-recording.sample_rate // 10 :]
    assert np.abs(last).max() > 0.2
    assert recording.seconds < 2.0


@pytest.mark.parametrize("kind", ["wav-claims-hours", "wav-claims-endless", "wav-claims-nothing"])
def test_a_wrong_length_in_a_header_does_not_matter(kind: str) -> None:
    recording = decode_bytes(hostile.hostile_file(kind))
    assert recording.seconds == pytest.approx(1.0)
    assert abs(cents(frequency_hz(recording))) < 0.05


def test_an_mp3_whose_header_declares_too_little_is_decoded_to_the_end() -> None:
    recording = decode_bytes(audio_file("mp3-vbr") + audio_file("mp3-no-xing", seconds=20.0))
    assert recording.seconds > 20.0


def test_an_mp3_that_changes_its_rate_keeps_its_pitch() -> None:
    recording = decode_bytes(hostile.hostile_file("mp3-changing-rate"))
    assert recording.seconds == 60.0
    assert abs(cents(frequency_hz(recording))) < 0.1


def test_a_chained_ogg_is_decoded_up_to_a_change_of_rate() -> None:
    recording = decode_bytes(hostile.hostile_file("chained-ogg"))
    assert recording.seconds == pytest.approx(1.0, abs=0.1)
    assert abs(cents(frequency_hz(recording))) < 0.1


def test_a_chained_ogg_of_one_rate_is_decoded_to_the_end() -> None:
    recording = decode_bytes(audio_file("ogg-vorbis") + audio_file("ogg-vorbis", seconds=20.0))
    assert recording.seconds == pytest.approx(21.0, abs=0.2)


def test_a_few_nan_samples_become_silence() -> None:
    recording = decode_bytes(hostile.hostile_file("wav-a-few-nan"))
    assert np.isfinite(recording.samples).all()
    assert abs(cents(frequency_hz(recording))) < 0.05


@pytest.mark.parametrize("kind", ["wav-nan", "wav-inf", "wav-1e30"])
def test_many_nan_samples_are_a_problem(kind: str) -> None:
    with pytest.raises(Undecodable) as problem:
        decode_bytes(hostile.hostile_file(kind))
    assert problem.value.code == "bad_samples"


def test_denormal_samples_become_silence() -> None:
    assert not decode_bytes(hostile.hostile_file("wav-denormal")).samples.any()


def test_samples_above_full_scale_are_scaled_down() -> None:
    recording = decode_bytes(wav(tone(1.0) * 32_768, codec="FLOAT"))
    assert np.abs(recording.samples).max() == pytest.approx(1.0)
    assert abs(cents(frequency_hz(recording))) < 0.05


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("empty", "no_audio"),
        ("two-bytes", "undecodable"),
        ("text", "undecodable"),
        ("zeros", "undecodable"),
        ("wav-without-samples", "no_audio"),
        ("only-an-id3-tag", "undecodable"),
        ("gzip-bomb", "undecodable"),
        ("wav-1-hz", "sample_rate"),
        ("wav-4-ghz", "undecodable"),
        ("opus-255-channels", "channels"),
        ("adts-noise", "no_audio"),
    ],
)
def test_files_without_audio_get_a_problem_with_a_code(kind: str, code: str) -> None:
    with pytest.raises(Unanalysable) as problem:
        decode_bytes(hostile.hostile_file(kind))
    assert problem.value.code == code


def test_amr_without_any_data_is_a_window_of_silence() -> None:
    recording = decode_bytes(hostile.hostile_file("amr-no-data"))
    assert recording.seconds == pytest.approx(60)
    assert not recording.samples.any()


@pytest.mark.parametrize("kind", hostile.KINDS)
def test_a_hostile_file_ends_as_a_result_or_a_problem_and_never_crashes(kind: str) -> None:
    outcome = decode_in_sandbox(io.BytesIO(hostile.hostile_file(kind)))
    assert outcome.problem is None or isinstance(outcome.problem, Unanalysable), outcome.detail
    assert outcome.memory_peak_bytes < 64 * MIB


def test_memory_does_not_grow_with_channels_and_rate() -> None:
    outcome = decode_in_sandbox(io.BytesIO(hostile.hostile_file("flac-655350-hz")))
    assert outcome.unwrap() == b"20.0 s at 48000 Hz"
    assert outcome.memory_peak_bytes < 40 * MIB  # the whole of it would be 420 MB


@pytest.mark.parametrize("kind", [kind for kind in LIBSNDFILE if not kind.startswith("mp3")])
def test_only_the_bytes_of_the_window_are_read(kind: str) -> None:
    container, codec, rate, options = LIBSNDFILE[kind]
    channels = 1 if container == "OGG" else 2
    noise = 0.2 * np.random.default_rng(2).standard_normal((100 * rate, channels)).astype(np.float32)
    if container == "OGG":
        options = {"compression_level": 0.0}  # else the minute and the file would hardly differ
    file = soundfile_bytes(noise, rate=rate, container=container, codec=codec, **options)
    # Promised are 2 MiB above the window; half of it, since the rest of some files is not much more.
    most = len(file) * 60 // 100 + MIB
    assert most < len(file)
    assert bytes_read_for_a_minute(CountingAudio(file)) <= most


def test_only_the_window_of_a_two_gigabyte_wav_is_read() -> None:
    size = 2_000_000_000
    file = bytearray(audio_file("wav"))
    file[4:8], file[40:44] = (size - 8).to_bytes(4, "little"), (size - 44).to_bytes(4, "little")
    audio = CountingAudio(bytes(file[44:]), head=bytes(file[:44]), size=size)
    assert bytes_read_for_a_minute(audio) <= 60 * 44_100 * 4 + 2 * MIB


@pytest.mark.parametrize("kind", ["mp3-cbr", "mp3-vbr", "mp3-id3", "mp3-no-xing"])
def test_only_the_window_of_a_two_gigabyte_mp3_is_read(kind: str) -> None:
    head = audio_file(kind, seconds=10.0)
    body = audio_file("mp3-no-xing", seconds=10.0)
    audio = CountingAudio(body, head=head, size=2_000_000_000)
    assert bytes_read_for_a_minute(audio) <= 6 * len(body) + 2 * MIB


@pytest.mark.parametrize("kind", ["flac", "ogg-vorbis", "webm-opus"])
def test_a_search_for_audio_stops_at_the_read_limit(kind: str) -> None:
    audio = CountingAudio(bytes(MIB), head=audio_file(kind)[:300], size=2_000_000_000)
    with pytest.raises(TooComplex):
        decode(io.BufferedReader(cast(io.RawIOBase, audio), 256 * 1024), start_seconds=0, window_seconds=60)
    assert audio.bytes_read <= MAX_BYTES_WITHOUT_AUDIO + 2 * MIB


def test_a_flac_that_turns_into_noise_is_decoded_up_to_the_noise() -> None:
    noise = random.Random(1).randbytes(MIB)
    audio = CountingAudio(noise, head=audio_file("flac", seconds=3.0)[:-20_000], size=2_000_000_000)
    outcome = decode_in_sandbox(io.BufferedReader(cast(io.RawIOBase, audio)))
    assert outcome.unwrap().startswith(b"2."), outcome.detail


def test_audio_before_gigabytes_of_zeros_is_decoded() -> None:
    audio = CountingAudio(bytes(MIB), head=audio_file("mp3-no-xing", seconds=3.0), size=2_000_000_000)
    buffered = io.BufferedReader(cast(io.RawIOBase, audio), 256 * 1024)
    recording = decode(buffered, start_seconds=0, window_seconds=60)
    assert recording.seconds == pytest.approx(3.0, abs=0.2)


def test_storage_errors_are_raised_through_both_decoders() -> None:
    class Away(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 50_000:
                raise Unavailable("Storage does not answer.")
            return super().read(size)

    for kind in ("wav", "alac", "ogg-vorbis", "mka"):
        with pytest.raises(Unavailable):
            decode(Away(audio_file(kind, seconds=10.0)), start_seconds=0, window_seconds=60)


@pytest.mark.parametrize("bug", [TypeError, AttributeError])
def test_a_wrong_call_of_a_decoder_is_not_a_problem_of_the_file(
    bug: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise bug("open() got an unexpected keyword argument")

    monkeypatch.setattr("av.open", refuse)
    with pytest.raises(bug):
        decode_bytes(audio_file("m4a"))


def test_mutated_files_end_as_a_result_or_a_problem() -> None:
    rng = random.Random(7)
    for kind in KINDS:
        for _ in range(5):
            file = bytearray(audio_file(kind, seconds=0.1))
            for _change in range(rng.randint(1, 30)):
                file[rng.randrange(len(file))] = rng.randrange(256)
            assert 0 <= decoded_seconds(bytes(file)) <= 60

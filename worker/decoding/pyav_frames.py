"""Decodes packets and reads samples around errors of PyAV 18.1 and FFmpeg 8.1.

- `AudioFrame.planes`, and so `to_ndarray`, reads past the end of FFmpeg's array of pointers for planar
  frames of eight and more channels. Those are converted to packed samples by FFmpeg first.
- `AudioLayout` shares the channel map of a custom layout with FFmpeg and frees it too (a double free).
  Custom layouts of a container are replaced before decoding; those of a decoder are never freed.
- FFmpeg's AMR decoders fail on pauses, which become silence here. Its GSM decoder makes noise of what is no
  GSM.
"""

from collections.abc import Iterator
from typing import Any

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.stream import AudioStream
from av.packet import Packet
from numpy.typing import NDArray

from worker.decoding.seeking.speech_frames import FRAME_SECONDS as AMR_FRAME_SECONDS
from worker.decoding.seeking.speech_frames import GSM_SIGNATURE

_MAX_PLANES = 7
_AMR, _MAX_PAUSE_BYTES = ("amr_nb", "amr_wb"), 6
_GSM = ("gsm",)
_FULL_SCALE = {"u8": 2.0**7, "s16": 2.0**15, "s32": 2.0**31, "s64": 2.0**63, "flt": 1.0, "dbl": 1.0}
_NATIVE_LAYOUTS = {
    "mono", "stereo", "2.1", "3.0", "3.0(back)", "3.1", "4.0", "4.1", "quad", "quad(side)",
    "5.0", "5.0(side)", "5.1", "5.1(side)", "6.0", "6.0(front)", "6.1", "6.1(back)", "6.1(front)",
    "hexagonal", "7.0", "7.0(front)", "7.1", "7.1(wide)", "7.1(wide-side)", "octagonal",
}  # fmt: skip
# References for the rest of the process, which is a child that ends without destroying objects.
_never_freed: list[AudioLayout] = []


def replace_custom_layout(context: AudioCodecContext) -> None:
    """Give *context* a layout without a channel map if its own may have one. Call it before decoding."""
    layout = context.layout
    if layout.name not in _NATIVE_LAYOUTS:
        context.layout = f"{layout.nb_channels} channels"


class FrameReader:
    """Turns the frames of one stream into blocks of samples."""

    def __init__(self) -> None:
        self._resampler: av.AudioResampler | None = None
        self._input: tuple[str, int, str] | None = None

    def decode(self, packet: "Packet[AudioStream]") -> list[AudioFrame]:
        """Return the frames of *packet*.

        Raises:
            av.FFmpegError: the packet can't be decoded.
        """
        codec = packet.stream.codec_context.codec.canonical_name
        if codec in _GSM and packet.size and bytes(packet)[0] >> 4 != GSM_SIGNATURE:
            raise av.InvalidDataError(0, "no GSM frame")
        try:
            return self.keep_layouts(packet.decode())
        except av.FFmpegError:
            if codec in _AMR and 0 < packet.size <= _MAX_PAUSE_BYTES:
                return [_silence(packet, sample_rate=packet.stream.codec_context.sample_rate)]
            raise

    def keep_layouts(self, frames: list[Any]) -> list[AudioFrame]:
        """Return *frames* after keeping their custom layouts from being freed."""
        for frame in frames:
            if frame.layout.name not in _NATIVE_LAYOUTS:
                _never_freed.append(frame.layout)
        return frames

    def samples(self, frame: AudioFrame) -> Iterator[NDArray[Any]]:
        """Yield blocks of shape (channels, frames) or (frames,) with full scale at 1."""
        if not frame.format.is_planar or frame.layout.nb_channels <= _MAX_PLANES:
            yield _to_array(frame)
            return
        if self._resampler is None or self._input != _format_of(frame):
            self._input = _format_of(frame)
            self._resampler = av.AudioResampler(format="flt")
        for packed in self.keep_layouts(self._resampler.resample(frame)):
            yield _to_array(packed)


def _silence(packet: "Packet[AudioStream]", *, sample_rate: int) -> AudioFrame:
    samples = np.zeros((1, round(AMR_FRAME_SECONDS * sample_rate)), np.float32)
    frame = AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = sample_rate, packet.pts, packet.time_base
    return frame


def _format_of(frame: AudioFrame) -> tuple[str, int, str]:
    return frame.layout.name, frame.sample_rate, frame.format.name


def _to_array(frame: AudioFrame) -> NDArray[Any]:
    sample_format = frame.format.name.removesuffix("p")
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    if sample_format in ("flt", "dbl"):
        return values
    middle = 128 if sample_format == "u8" else 0
    return ((values.astype(np.float64) - middle) / _FULL_SCALE[sample_format]).astype(np.float32)

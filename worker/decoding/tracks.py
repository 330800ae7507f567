"""Chooses which audio track of a file to analyze, and describes it."""

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition

from shared.domain.report import AudioTrack, TrackReason

_MAX_LABEL = 100
_SPECIAL = Disposition.comment | Disposition.visual_impaired | Disposition.hearing_impaired


def order_tracks(container: InputContainer) -> list[AudioStream]:
    """Return the audio tracks that can be decoded, the default ones first and commentaries last."""
    decodable = [
        track
        for track in container.streams.audio
        if track.codec_context is not None and track.codec_context.sample_rate > 0
    ]
    return sorted(
        decodable,
        key=lambda track: (bool(track.disposition & _SPECIAL), not track.disposition & Disposition.default),
    )


def describe_track(container: InputContainer, track: AudioStream, *, tried: int) -> AudioTrack:
    """Describe *track*, which comes after *tried* others in the order of `order_tracks`."""
    tracks = list(container.streams.audio)
    language = _label(track.metadata.get("language"))
    if tried:
        reason = TrackReason.FIRST_AUDIBLE
    elif len(tracks) == 1:
        reason = TrackReason.ONLY
    elif track.disposition & Disposition.default and not all(
        other.disposition & Disposition.default for other in tracks
    ):
        reason = TrackReason.DEFAULT
    else:
        reason = TrackReason.FIRST
    return AudioTrack(
        index=tracks.index(track) + 1,
        count=len(tracks),
        language=None if language == "und" else language,
        title=_label(track.metadata.get("title")),
        reason=reason,
    )


def _label(text: str | None) -> str | None:
    """Return at most 100 printable characters of a tag, None if there is nothing to see."""
    if text is None:
        return None
    return "".join(character for character in text[:_MAX_LABEL] if character.isprintable()).strip() or None

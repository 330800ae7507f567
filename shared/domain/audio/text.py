"""The length and the track of a recording in words. Pure."""

from shared.domain.report import AudioFacts, AudioTrack, DurationAccuracy, TrackReason

_REASONS = {
    TrackReason.DEFAULT: "the default",
    TrackReason.FIRST: "the first",
    TrackReason.FIRST_AUDIBLE: "the first that isn’t silent",
}


def length_text(audio: AudioFacts) -> str | None:
    """The length of the recording, such as “3:35” or “about 1:02:11”; None if it is unknown."""
    if audio.duration_seconds is None:
        return None
    minutes, seconds = divmod(round(audio.duration_seconds), 60)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    return clock if audio.duration_accuracy is DurationAccuracy.EXACT else f"about {clock}"


def track_text(track: AudioTrack | None) -> str | None:
    """The track of a file with several, such as “2 of 3, the default: Stereo (eng)”; None if there is one."""
    if track is None or track.count < 2:
        return None
    text = f"{track.index} of {track.count}"
    if track.reason in _REASONS:
        text += f", {_REASONS[track.reason]}"
    if track.title:
        text += f": {track.title}"
    return f"{text} ({track.language})" if track.language else text

"""Songs to upload: a chord progression that repeats, in the sizes that are compared."""

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

from tests.support.music import make_song

SONGS = (("wav", 2), ("mp3", 9))
"""Format and minutes of stereo at 44.1 kHz: 21 MB each."""
LONG = (("wav", 15),)
"""159 MB."""
LARGE = (*LONG, ("wav", 189))
"""159 MB and 2 GB."""


def make_songs(folder: Path, songs: Iterable[tuple[str, int]]) -> None:
    """Write a file for each format and number of minutes."""
    folder.mkdir(parents=True, exist_ok=True)
    minute, rate = soundfile.read(io.BytesIO(make_song(440.0, seconds=60.0)), dtype="int16")
    for kind, minutes in songs:
        file = folder / f"song-{minutes}-minutes.{kind}"
        with soundfile.SoundFile(file, "w", samplerate=rate, channels=2) as song:
            for _ in range(minutes):
                song.write(np.stack([minute, minute], axis=1))


def kind_of(song: Path) -> str:
    """Size and format, such as "21 MB WAV"."""
    size = song.stat().st_size
    amount = f"{size / 1e9:.0f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
    if size < 10**8:  # songs of 21.2 and 21.6 MB are of one size
        amount = f"{size // 10**6} MB"
    return f"{amount} {song.suffix[1:].upper()}"


def by_kind(folder: Path) -> dict[str, list[Path]]:
    """The MP3 and WAV files of a folder by kind, the smallest first. Files within 10 % are of one kind."""
    songs = sorted(
        (song for suffix in ("mp3", "wav") for song in folder.rglob(f"*.{suffix}")),
        key=lambda song: (song.suffix, song.stat().st_size),
    )
    kinds: dict[str, list[Path]] = {}
    first: Path | None = None
    for song in songs:
        if first is None or song.suffix != first.suffix or song.stat().st_size > 1.1 * first.stat().st_size:
            first = song
        kinds.setdefault(kind_of(first), []).append(song)
    return kinds

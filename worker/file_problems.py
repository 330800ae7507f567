"""Every problem that a decoder can report about a file.

A decoder works on untrusted bytes, so that only the name of a problem and a few integers leave its process,
never free text.
"""

import re
from dataclasses import dataclass

from shared.errors import TooComplex, Unanalysable, Undecodable

_MAX_DIGITS = 12


@dataclass(frozen=True, slots=True)
class _Problem:
    kind: type[Unanalysable]
    code: str
    template: str
    """A sentence for the client. Each `{}` is an integer."""

    def numbers_in(self, message: str) -> list[int] | None:
        """Return the integers of a message made from this template, None if it is another one's."""
        pattern = re.escape(self.template).replace(r"\{\}", rf"(-?\d{{1,{_MAX_DIGITS}}})")
        found = re.fullmatch(pattern, message)
        return [int(group) for group in found.groups()] if found else None


PROBLEMS = {
    "bad_samples": _Problem(
        Undecodable, "bad_samples", "Too many samples are NaN or infinite. Export the file again."
    ),
    "crashed": _Problem(
        Undecodable,
        "undecodable",
        "The decoder crashed on the file. Convert it to FLAC or WAV, then try again.",
    ),
    "empty": _Problem(Undecodable, "no_audio", "The file is empty. Upload a file with sound."),
    "encrypted": _Problem(
        Undecodable,
        "undecodable",
        "The file is encrypted (DRM). Upload a file without copy protection.",
    ),
    "false_index": _Problem(
        TooComplex,
        "too_complex",
        "The file's index is damaged: it lists more samples than the file can hold. Export the file again.",
    ),
    "no_audio_track": _Problem(
        Undecodable, "no_audio", "The file has no audio track. Upload a file with sound."
    ),
    "no_index": _Problem(
        Undecodable,
        "incomplete",
        "The file is incomplete: its end is missing, and with it the index. Upload the whole file.",
    ),
    "no_samples": _Problem(
        Undecodable,
        "no_audio",
        "The file has no audio, or none in the analysed part. Upload one with sound or choose another start.",
    ),
    "packets": _Problem(
        TooComplex,
        "too_complex",
        "Too many of the file's packets are damaged or empty. Convert it, then try again.",
    ),
    "read_limit": _Problem(
        TooComplex,
        "too_complex",
        "No audio was found in the first part of the file. Upload a file that is only audio.",
    ),
    "sample_rate": _Problem(
        Undecodable,
        "sample_rate",
        "The file has a sample rate of {} Hz; {} to {} Hz are supported. Resample it to 44100 Hz.",
    ),
    "start_past_end": _Problem(
        Undecodable,
        "no_audio",
        "The file ends after {} seconds, before the requested start. Choose an earlier start.",
    ),
    "too_many_channels": _Problem(
        Undecodable,
        "channels",
        "The file has {} channels; up to {} are supported. Mix it down to stereo.",
    ),
    "too_many_tags": _Problem(
        TooComplex, "too_complex", "The file has too many tags. Remove some, then upload it again."
    ),
    "too_much_memory": _Problem(
        TooComplex,
        "too_complex",
        "The file takes too much memory to decode. Convert it to FLAC or WAV, then try again.",
    ),
    "too_much_metadata": _Problem(
        TooComplex,
        "too_complex",
        "The file's tags, pictures or index are too large. Remove pictures, then upload it again.",
    ),
    "too_much_reading": _Problem(
        TooComplex,
        "too_complex",
        "The decoder needs more of the file than one job can read. Cut the file, then try again.",
    ),
    "too_much_time": _Problem(
        TooComplex,
        "too_complex",
        "The file takes too long to decode. Convert it to FLAC or WAV, then try again.",
    ),
    "undecodable": _Problem(
        Undecodable,
        "undecodable",
        "The file can't be decoded. Upload it in another format, such as FLAC, WAV or MP3.",
    ),
    "unreadable_index": _Problem(
        TooComplex,
        "too_complex",
        "The file's index is damaged, or too long for the memory of a job. Convert it to FLAC or WAV, "
        "then try again.",
    ),
}


def file_problem(name: str, *numbers: int) -> Unanalysable:
    """Return the error of one of `PROBLEMS`. Raises KeyError, IndexError or ValueError for anything else."""
    problem = PROBLEMS[name]
    if any(len(str(abs(int(number)))) > _MAX_DIGITS for number in numbers):
        raise ValueError("a number has too many digits")
    return problem.kind(problem.template.format(*map(int, numbers)), code=problem.code)


def identify(error: Unanalysable) -> tuple[str, list[int]] | None:
    """Return the name and numbers that `file_problem` made *error* from, None if it did not."""
    for name, problem in PROBLEMS.items():
        if (numbers := problem.numbers_in(error.message)) is not None:
            return name, numbers
    return None

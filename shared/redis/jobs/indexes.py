"""The sorted sets that a job is in, and the one that answers a query. Pure.

all, state:{s}, owner:{o}, reason:{code}, worker:{w}, verdict:{v}, sha256:{hex}    by creation, for lists
waiting:{queue}   by when it was queued or becomes due: position, depth, age of the oldest
recall:{key}      by the end of the analysis: cached reports
due:{queue}, leases, unwanted, expiry    by when maintenance is due
words             by name only: the words of each filename, newest first
"""

import re
import unicodedata

from shared.domain.job import Job
from shared.domain.job_state import JobState
from shared.domain.report_cache import cache_key_of_report
from shared.ports.jobs import JobQuery

_MAX_WORDS = 12
_MAX_WORD_LENGTH = 40
_MAX_EXTENSION_LENGTH = 5
_LATEST_MILLISECONDS = 10**13
"""The year 2286. Subtracting from it sorts newest first."""


def index_entries(job: Job) -> dict[tuple[str, str], float]:
    """The sorted sets that a job is in: (index, member) to score."""
    created = job.created_at
    scores = {"all": created, f"state:{job.state}": created}
    if job.owner is not None:
        scores[f"owner:{job.owner}"] = created
    if job.problem is not None:
        scores[f"reason:{job.problem.code}"] = created
    if worker := job.timeline[-1].worker if job.timeline else None:
        scores[f"worker:{worker}"] = created
    if job.report is not None:
        scores[f"verdict:{job.report.tuning.verdict}"] = created
    if job.input.sha256 is not None:
        scores[f"sha256:{job.input.sha256}"] = created
    if job.state is JobState.QUEUED:
        # a delayed job counts as waiting from its due time: else the delay would look like a stalled queue
        scores[f"waiting:{job.queue}"] = max(job.queued_at or created, job.due_at or 0.0)
        scores[f"due:{job.queue}"] = job.due_at or 0.0
    if job.lease is not None:
        scores["leases"] = job.lease.until
    if job.has_audio and job.audio_unneeded:
        scores["unwanted"] = job.finished_at or created
    if (key := cache_key_of_report(job)) is not None:
        scores[f"recall:{key}"] = job.finished_at or created
    if job.expires_at is not None:
        scores["expiry"] = job.expires_at
    members = {(index, job.id): score for index, score in scores.items()}
    return members | dict.fromkeys(_word_entries(job, indexed_words(job.input.filename or "")), 0.0)


def entries_of_version_0_1(job: Job) -> list[tuple[str, str]]:
    """The entries that only version 0.1 writes: of every word of the filename."""
    return _word_entries(job, search_words(job.input.filename or ""))


def _word_entries(job: Job, words: list[str]) -> list[tuple[str, str]]:
    backwards = f"{_LATEST_MILLISECONDS - int(job.created_at * 1000):013d}"
    return [("words", f"{word}\0{backwards}\0{job.id}") for word in words]


def index_for(query: JobQuery) -> tuple[str, bool]:
    """The narrowest index for a query, and whether all of its entries match (apart from the time)."""
    candidates = []
    if query.verdict is not None:
        candidates.append(f"verdict:{query.verdict}")  # first: records are listed without their reports
    if query.owner is not None:
        candidates.append(f"owner:{query.owner}")
    if query.worker is not None:
        candidates.append(f"worker:{query.worker}")
    if query.reason is not None:
        candidates.append(f"reason:{query.reason}")
    if len(query.states) == 1:
        candidates.append(f"state:{next(iter(query.states))}")
    others = (query.name_contains, query.queue, query.batch_id, query.min_run_seconds)
    exact = len(candidates) <= 1 and len(query.states) <= 1 and all(other is None for other in others)
    return (candidates[0] if candidates else "all"), exact


def search_words(name: str) -> list[str]:
    """The words that find a file: letters and digits, without case and accents."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    words = re.findall(r"[^\W_]+", plain)
    return list(dict.fromkeys(word[:_MAX_WORD_LENGTH] for word in words))[:_MAX_WORDS]


def indexed_words(name: str) -> list[str]:
    """The words by which a file is looked up: without its extension, and without track numbers.

    Other words only narrow down what was found.
    """
    stem, dot, extension = name.rpartition(".")
    words = search_words(stem if dot and len(extension) <= _MAX_EXTENSION_LENGTH else name)
    return [word for word in words if len(word) > 2 or not word.isdecimal()]


def prefix_range(prefix: str) -> tuple[str, str]:
    """The range of `words` that holds every word with this prefix."""
    return f"[{prefix}", f"[{prefix}\U0010ffff"

"""Which indexes a job stands in, and which one answers a question. Pure.

all, state:{s}, owner:{o}, reason:{code}, worker:{w}, sha256:{hex}    by creation: lists
waiting:{queue}   by the time of queueing: position, depth, age of the oldest
recall:{what}     by the end of an analysis: what the same song of the same caller is answered from
due:{queue}, leases, unwanted, expiry    by when the rescuer should look
words             by name alone: each word of each filename, newest first
"""

import re
import unicodedata

from shared.job import Job
from shared.ports import JobQuery
from shared.recall import recalled_as
from shared.timeline import JobState

_MOST_WORDS = 12
_LONGEST_WORD = 40
_LATEST = 10**13
"""Milliseconds, in the year 2286."""


def entries(job: Job) -> dict[tuple[str, str], float]:
    """The sorted sets that a job stands in: (index, member) to score."""
    created = job.created_at
    found = {"all": created, f"state:{job.state}": created}
    if job.owner is not None:
        found[f"owner:{job.owner}"] = created
    if job.problem is not None:
        found[f"reason:{job.problem.code}"] = created
    if worker := job.timeline[-1].worker if job.timeline else None:
        found[f"worker:{worker}"] = created
    if job.input.sha256 is not None:
        found[f"sha256:{job.input.sha256}"] = created
    if job.state is JobState.QUEUED:
        # what is put off waits from then on: else a pause would look like a queue that stands still
        found[f"waiting:{job.queue}"] = max(job.queued_at or created, job.due_at or 0.0)
        found[f"due:{job.queue}"] = job.due_at or 0.0
    if job.lease is not None:
        found["leases"] = job.lease.until
    if job.has_audio and job.wants_no_audio:
        found["unwanted"] = job.finished_at or created
    if (key := recalled_as(job)) is not None:
        found[f"recall:{key}"] = job.finished_at or created
    if job.expires_at is not None:
        found["expiry"] = job.expires_at
    members = {(index, job.id): score for index, score in found.items()}
    backwards = f"{_LATEST - int(created * 1000):013d}"
    for word in words_of(job.input.filename or ""):
        members["words", f"{word}\0{backwards}\0{job.id}"] = 0.0
    return members


def index_of(query: JobQuery) -> tuple[str, bool]:
    """The narrowest index for a question, and whether all that stands in it matches (but for the time)."""
    wanted = []
    if query.owner is not None:
        wanted.append(f"owner:{query.owner}")
    if query.worker is not None:
        wanted.append(f"worker:{query.worker}")
    if query.reason is not None:
        wanted.append(f"reason:{query.reason}")
    if len(query.states) == 1:
        wanted.append(f"state:{next(iter(query.states))}")
    exact = len(wanted) <= 1 and len(query.states) <= 1 and query.name_contains is None
    return (wanted[0] if wanted else "all"), exact


def words_of(name: str) -> list[str]:
    """The words by which a file is found: letters and digits, without case and accents."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    found = re.findall(r"[^\W_]+", plain)
    return list(dict.fromkeys(word[:_LONGEST_WORD] for word in found))[:_MOST_WORDS]


def word_members(beginning: str) -> tuple[str, str]:
    """The range of `words` that holds each word with this beginning."""
    return f"[{beginning}", f"[{beginning}\U0010ffff"

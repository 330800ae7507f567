"""The sentences for the stages of a job. The pages' scripts take them from here, too. Pure."""

SENTENCES = {
    "uploading": "Waiting for the upload.",
    "waiting": "Waiting.",
    "waiting:0": "Next in line.",
    "waiting:1": "Waiting. 1 song is ahead of this one.",
    "waiting:n": "Waiting. {position} songs are ahead of this one.",
    "paused": "The queue is paused. Your song starts when it resumes.",
    "waiting_to_retry": "Something went wrong. We will try again in a moment.",
    "listening": "Analyzing…",
    "listening:again": "Analyzing, attempt {attempt}…",
    "canceling": "Canceling…",
    "done": "Done.",
}
LABELS = {"waiting_to_retry": "retrying soon", "listening": "analyzing"}


def stage_sentence(stage: str, *, position: int | None, attempt: int) -> str:
    """What a page says while a job is in a stage. static/stages.js does the same."""
    sentence = SENTENCES[stage]
    if position is not None:
        sentence = SENTENCES.get(f"{stage}:{'n' if position > 1 else position}", sentence)
    if attempt > 1:
        sentence = SENTENCES.get(f"{stage}:again", sentence)
    return sentence.format(position=position, attempt=attempt)

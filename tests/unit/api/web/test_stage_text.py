"""The sentences for the stages of a job."""

import pytest

from api.web.stage_text import stage_sentence


@pytest.mark.parametrize(
    ("stage", "position", "attempt", "sentence"),
    [
        ("waiting", 0, 0, "Next in line."),
        ("waiting", 1, 0, "Waiting. 1 song is ahead of this one."),
        ("waiting", 7, 1, "Waiting. 7 songs are ahead of this one."),
        ("paused", 0, 0, "The queue is paused. Your song starts when it resumes."),
        ("listening", None, 1, "Analyzing…"),
        ("listening", None, 2, "Analyzing, attempt 2…"),
    ],
)
def test_a_stage_is_a_sentence(stage: str, position: int | None, attempt: int, sentence: str) -> None:
    assert stage_sentence(stage, position=position, attempt=attempt) == sentence

"""The picture of a shared link. Pillow, which drew it, also reads it back here."""

import io
import re
from typing import Any

import pytest
from PIL import Image

from shared.domain.job_fields import AudioInput, Problem
from shared.domain.job_state import JobState
from tests.support.api_harness import ApiHarness
from tests.support.factories import make_job, make_report

ENDED: dict[str, Any] = {"queued_at": None, "finished_at": 3.0, "expires_at": 100.0}


def read_picture(content: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(content))
    assert (picture.format, picture.size) == ("PNG", (1200, 630))
    return picture.convert("RGB")


def test_the_link_of_a_result_has_a_title_and_a_picture(api: ApiHarness) -> None:
    named = AudioInput(filename='A "song" & more.wav')
    api.jobs.add(make_job(state=JobState.SUCCEEDED, report=make_report(), input=named, **ENDED))
    page = api.client.get("/jobs/job-1").text
    tags = dict(re.findall(r'<meta property="(og:[a-z:]+)" content="([^"]*)">', page))
    assert "A &#34;song&#34; &amp; more.wav" in tags["og:title"]
    assert tags["og:image"] == "http://testserver/jobs/job-1/card.png"
    assert tags["og:url"] == "http://testserver/jobs/job-1"
    response = api.client.get("/jobs/job-1/card.png")
    assert response.headers["content-type"] == "image/png"
    assert len(response.content) < 60_000
    assert len(read_picture(response.content).getcolors(maxcolors=100_000) or ()) > 10


@pytest.mark.parametrize("name", ["", "秋のうた.mp3", "x" * 500, "a\u202eb\x00.wav", "e\u0301" * 40])
def test_any_filename_makes_a_picture(api: ApiHarness, name: str) -> None:
    named = AudioInput(filename=name)
    api.jobs.add(make_job(state=JobState.SUCCEEDED, report=make_report(), input=named, **ENDED))
    read_picture(api.client.get("/jobs/job-1/card.png").content)


def test_a_failed_job_has_a_picture_and_a_waiting_one_has_none(api: ApiHarness) -> None:
    problem = Problem(code="no_audio", message="No.", retryable=False)
    api.jobs.add(make_job(state=JobState.FAILED, problem=problem, **ENDED))
    read_picture(api.client.get("/jobs/job-1/card.png").content)
    api.jobs.add(make_job("job-2"))
    assert api.client.get("/jobs/job-2/card.png").status_code == 404
    assert "og:image" not in api.client.get("/jobs/job-2").text
    assert api.client.get("/jobs/none/card.png").status_code == 404


def test_the_picture_of_a_keys_job_needs_the_key_or_the_signed_link(private_api: ApiHarness) -> None:
    private_api.jobs.add(make_job(state=JobState.SUCCEEDED, report=make_report(), owner="key-1", **ENDED))
    assert private_api.client.get("/jobs/job-1/card.png").status_code == 401
    assert private_api.client.get("/r/job-1.forged/card.png").status_code == 404

"""Links to results are unguessable and belong to one job."""

import pytest

from api.web.result_links import ResultLinks
from shared.errors import NotFound
from tests.support.factories import make_job

LINKS = ResultLinks(lambda: "a secret key")


def test_a_link_gives_back_the_id_of_its_job() -> None:
    path = LINKS.path(make_job("job-1", owner="key-1"))
    assert LINKS.verify(path.removeprefix("/r/")) == "job-1"


def test_the_id_of_an_anonymous_job_is_its_link() -> None:
    assert LINKS.path(make_job("job-1")) == "/jobs/job-1"


@pytest.mark.parametrize("token", ["", "job-1", "job-1.", "job-2.x", "é", "a.b.c"])
def test_a_forged_link_is_not_found(token: str) -> None:
    with pytest.raises(NotFound):
        LINKS.verify(token)


def test_another_key_signs_other_links() -> None:
    path = ResultLinks(lambda: "another key").path(make_job("job-1", owner="key-1"))
    with pytest.raises(NotFound):
        LINKS.verify(path.removeprefix("/r/"))

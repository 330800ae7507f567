import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.api_key import Scope, issue_key
from shared.observability.logs import bind_log_context, get_logger, log_context, redact
from tests.support.captured_logs import CapturedLogs, capture_logs

KEY, TOKEN = issue_key("a", scopes=frozenset({Scope.JOBS_READ}), now=1.0)
SECRET = TOKEN.rpartition("_")[2]


@pytest.fixture
def log() -> Iterator[CapturedLogs]:
    with capture_logs() as logged:
        yield logged


def test_a_line_has_what_is_bound_and_nothing_after_the_block(log: CapturedLogs) -> None:
    logger = get_logger("test")
    with log_context(request_id="r", job_id=None):
        bind_log_context(job_id="j")
        logger.info("inside", bytes=3)
    logger.info("outside")
    inside, outside = log.lines()
    assert (inside["request_id"], inside["job_id"], inside["bytes"]) == ("r", "j", 3)
    assert not {"request_id", "job_id"} & set(outside)


@pytest.mark.parametrize(
    "text",
    [
        f"Bearer {TOKEN}",
        f"a key {TOKEN} in a sentence",
        f"https://x.test/?key={TOKEN}&a=b",
        f"whsec_{SECRET}",
        f"redis://:{SECRET}@127.0.0.1:6379/0",
        f"redis://user:{SECRET}@127.0.0.1:6379/0",
        f"http://x.test/o?X-Amz-Signature={SECRET}&x=1",
        f"Authorization: Basic {SECRET}",
    ],
    ids=[
        "bearer",
        "sentence",
        "query",
        "webhook",
        "password",
        "user and password",
        "signature",
        "basic",
    ],  # else the secret were in the name
)
def test_no_secret_reaches_a_line(log: CapturedLogs, text: str) -> None:
    logger = get_logger("test")
    logger.warning("event", why=text, deep={"a": [text, {"b": text}]}, pair=(text, 1))
    logger.warning(text)
    logging.getLogger("a.library").warning("says %s", text)
    try:
        raise ValueError(text)
    except ValueError:
        logger.exception("broken")
    assert len(log.lines()) == 4
    assert SECRET not in log.text


@pytest.mark.parametrize("name", ["authorization", "admin_password", "secret_key", "Set-Cookie", "token"])
def test_fields_with_a_telling_name_are_hidden_whatever_they_hold(log: CapturedLogs, name: str) -> None:
    get_logger("test").info("event", **{name: "hunter2", "inner": {name: ["hunter2"]}})
    assert log.lines()
    assert "hunter2" not in log.text


def test_file_names_are_left_out_unless_they_are_wanted() -> None:
    for wanted in (False, True):
        with capture_logs(log_filenames=wanted) as log:
            get_logger("test").info("event", filename="our wedding.mp3")
            assert [line.get("filename") for line in log.lines()] == ["our wedding.mp3" if wanted else None]


def test_the_console_form_hides_the_same() -> None:
    with capture_logs(log_format="console") as log:
        try:
            raise ValueError(TOKEN)
        except ValueError:
            get_logger("test").exception("broken", filename="our wedding.mp3")
        assert "ValueError" in log.text
        assert SECRET not in log.text
        assert "wedding" not in log.text


def test_the_servers_own_request_lines_are_off(log: CapturedLogs) -> None:
    logging.getLogger("uvicorn.access").info("GET /v1/jobs?filename=wedding.mp3")
    assert log.lines() == []


@given(st.text(alphabet="kam_0123456789abcdef :/@", max_size=80))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    assert redact(redact(text)) == redact(text)

import re

import pytest

from shared.settings import Settings, read_settings

SECRET = "hunter2hunter2"
MAY_HOLD_A_SECRET = re.compile(r"password|secret|token|key$|_url$|proxy$")


def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **given: str) -> str:
    for name, value in given.items():
        monkeypatch.setenv(f"KAMMERTON_{name.upper()}", value)
    with pytest.raises(SystemExit):
        read_settings()
    (sentence,) = capsys.readouterr().err.splitlines()
    return sentence


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("redis_url", "ftp://:{}@host/0"),
        ("redis_url", "redis://:{}/more@host:6379/0"),
        ("redis_url", "redis://user:{}?more@host:6379/0"),
        ("redis_url", "redis://user:1{}#more@host:6379/0"),
        ("redis_url", "redis://user:1234/{}@host:6379/0"),
        ("redis_url", "redis://:{}@host:port/0"),
        ("redis_url", "redis://:{}@[::1/0"),
        ("redis_url", "sentinel://:{}@one,two/0"),
        ("redis_url", "sentinel://:{}@one:x,two/0?master=mine"),
        ("outbound_proxy", "https://user:{}@proxy:3128"),
        ("outbound_proxy", "user:{}@proxy:3128"),
        ("outbound_proxy", "http://user:{}@proxy:3128/path"),
        ("outbound_proxy", "http://user:{}@proxy:http"),
        ("outbound_proxy", "http://user:{}/@proxy:3128"),
        ("s3_endpoint_url", "http://key:{}@s3:9000"),
        ("s3_endpoint_url", "key:{}@s3:9000"),
        ("s3_public_url", "http://key:{}@s3:9000"),
        ("traces_url", "https://user:{}@collector/v1/traces"),
    ],
)
def test_a_wrong_address_is_named_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    sentence = refused(monkeypatch, capsys, **{name: value.format(SECRET)})
    assert sentence.startswith(f"kammerton: KAMMERTON_{name.upper()}: ")
    assert sentence.endswith(". Mend it or unset it, then start again.")
    assert SECRET[:6] not in sentence
    assert "1234" not in sentence


def test_what_is_no_secret_is_repeated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = refused(monkeypatch, capsys, job_attempts="none")
    assert sentence.startswith("kammerton: KAMMERTON_JOB_ATTEMPTS=none: input should be a valid integer")


def test_settings_that_do_not_fit_together_say_so_without_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"redis://:{SECRET}@host/0"
    sentence = refused(monkeypatch, capsys, redis_url=url, lease_seconds="1", admin_password=SECRET)
    assert "KAMMERTON_LEASE_SECONDS must be at least twice" in sentence
    assert SECRET not in sentence


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("redis_url", "redis://mine"),
        ("redis_url", "rediss://user:p%2Fw%40x@mine:6380/3"),
        ("redis_url", "redis://[::1]:6379/0"),
        ("redis_url", "sentinel://:pw@one:26379,two,[::1]:3/0?master=mine"),
        ("outbound_proxy", "http://proxy:3128"),
        ("outbound_proxy", "http://user:p%40w@proxy:3128/"),
        ("s3_endpoint_url", "https://s3.example"),
        ("traces_url", "http://collector:4318/v1/traces"),
    ],
)
def test_addresses_that_can_be_are_taken(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"KAMMERTON_{name.upper()}", value)
    assert getattr(read_settings(), name) == value


def test_no_setting_that_may_hold_a_secret_is_shown() -> None:
    secret = {name for name in Settings.model_fields if MAY_HOLD_A_SECRET.search(name)}
    assert len(secret) >= 7
    shown = {name for name, field in Settings.model_fields.items() if field.repr}
    assert secret & shown == set()
    settings = Settings(redis_url=f"redis://:{SECRET}@host/0", admin_password=SECRET)
    assert SECRET not in repr(settings) + str(settings)

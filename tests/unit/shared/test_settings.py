import re
from pathlib import Path

import pytest

from shared.settings import RENAMED, Settings, read_settings

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
def test_an_invalid_url_is_named_but_never_repeated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    sentence = refused(monkeypatch, capsys, **{name: value.format(SECRET)})
    assert sentence.startswith(f"kammerton: KAMMERTON_{name.upper()}: ")
    assert sentence.endswith(". Fix or unset this variable and restart.")
    assert SECRET[:6] not in sentence
    assert "1234" not in sentence


def test_a_wrong_value_without_a_secret_is_repeated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = refused(monkeypatch, capsys, job_attempts="none")
    assert sentence.startswith("kammerton: KAMMERTON_JOB_ATTEMPTS=none: input should be a valid integer")


def test_settings_that_contradict_each_other_are_named_without_the_others(
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
def test_valid_urls_are_accepted(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"KAMMERTON_{name.upper()}", value)
    assert getattr(read_settings(), name) == value


def test_settings_that_may_hold_a_secret_are_hidden() -> None:
    secret = {name for name in Settings.model_fields if MAY_HOLD_A_SECRET.search(name)}
    assert len(secret) >= 7
    shown = {name for name, field in Settings.model_fields.items() if field.repr}
    assert secret & shown == set()
    settings = Settings(redis_url=f"redis://:{SECRET}@host/0", admin_password=SECRET)
    assert SECRET not in repr(settings) + str(settings)


@pytest.mark.parametrize(
    "name", ["s3_cors_origins", "allowed_hosts", "trusted_proxies", "source_retry_delays_seconds"]
)
def test_an_empty_list_is_empty(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"KAMMERTON_{name.upper()}", "")
    assert getattr(read_settings(), name) == ()


def test_an_empty_variable_that_is_no_list_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAMMERTON_S3_REGION", "")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("KAMMERTON_MAX_QUEUED_JOBS", "")
    monkeypatch.setenv("KAMMERTON_TRACES_URL", "")
    settings = read_settings()
    assert (settings.s3_region, settings.max_queued_jobs, settings.traces_url) == ("eu-west-1", 10_000, None)


def test_lists_are_split_at_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAMMERTON_ALLOWED_HOSTS", "a.test, b.test,")
    monkeypatch.setenv("KAMMERTON_WEBHOOK_RETRY_DELAYS_SECONDS", "5, 60")
    settings = read_settings()
    assert settings.allowed_hosts == ("a.test", "b.test")
    assert settings.webhook_retry_delays_seconds == (5.0, 60.0)


def test_deprecated_names_still_work_and_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAMMERTON_QUEUE_MOST", "7")
    monkeypatch.setenv("KAMMERTON_HOSTS", "a.test")
    settings = read_settings()
    assert (settings.max_queued_jobs, settings.allowed_hosts) == (7, ("a.test",))
    assert settings.deprecated == {
        "KAMMERTON_HOSTS": "KAMMERTON_ALLOWED_HOSTS",
        "KAMMERTON_QUEUE_MOST": "KAMMERTON_MAX_QUEUED_JOBS",
    }


def test_a_new_name_wins_over_its_deprecated_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAMMERTON_QUEUE_MOST", "7")
    monkeypatch.setenv("KAMMERTON_MAX_QUEUED_JOBS", "8")
    assert read_settings().max_queued_jobs == 8


def test_every_deprecated_name_has_a_replacement_that_exists() -> None:
    assert set(RENAMED.values()) <= set(Settings.model_fields)
    assert not set(RENAMED) & set(Settings.model_fields)


def test_a_secret_can_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in (("redis_url", "redis://:of-redis@host:6379/0"), ("admin_password", SECRET)):
        (tmp_path / name).write_text(value + "\n")
        monkeypatch.setenv(f"KAMMERTON_{name.upper()}_FILE", str(tmp_path / name))
    settings = read_settings()
    assert settings.redis_url == "redis://:of-redis@host:6379/0"
    assert settings.admin_password is not None
    assert settings.admin_password.get_secret_value() == SECRET


def test_what_is_no_secret_is_not_read_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KAMMERTON_LOG_LEVEL_FILE", str(tmp_path / "missing"))
    assert read_settings().log_level == "INFO"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "the file can't be read: No such file or directory."),
        (b"", "the file is empty. Write the value into it."),
        (b"\n", "the file is empty. Write the value into it."),
        (b"\xff\xfe" + SECRET.encode(), "the file can't be read: it is not text."),
    ],
)
def test_an_unusable_file_of_a_secret_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    content: bytes | None,
    problem: str,
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    sentence = refused(monkeypatch, capsys, admin_password_file=str(file))
    assert sentence == f"kammerton: KAMMERTON_ADMIN_PASSWORD_FILE={file}: {problem}"


def test_a_wrong_value_in_a_file_is_never_repeated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "url").write_text(f"ftp://:{SECRET}@host/0")
    sentence = refused(monkeypatch, capsys, redis_url_file=str(tmp_path / "url"))
    assert sentence.startswith("kammerton: KAMMERTON_REDIS_URL: a Redis URL must begin with")
    assert SECRET not in sentence


def test_a_secret_that_is_given_twice_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "password").write_text(SECRET)
    sentence = refused(
        monkeypatch, capsys, admin_password="another", admin_password_file=str(tmp_path / "password")
    )
    assert "KAMMERTON_ADMIN_PASSWORD and KAMMERTON_ADMIN_PASSWORD_FILE are both set" in sentence
    assert SECRET not in sentence


def test_operators_have_names_and_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAMMERTON_OPERATORS", "ann:one:two, bob : three ,")
    settings = Settings()
    assert [(name, secret.get_secret_value()) for name, secret in settings.operators] == [
        ("ann", "one:two"),
        ("bob", "three"),
    ]
    assert "three" not in repr(settings)


@pytest.mark.parametrize("value", ["{}", "ann:{},bob", ":{}", "ann:{},ann:x", "ann:,bob:{}"])
def test_unreadable_operators_are_named_but_never_repeated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    sentence = refused(monkeypatch, capsys, operators=value.format(SECRET))
    assert "KAMMERTON_OPERATORS" in sentence
    assert SECRET not in sentence

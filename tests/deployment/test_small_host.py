"""Checks of the files for hosts that give one container of 512 MB."""

import tomllib
from pathlib import Path
from typing import Any

import yaml

from local.__main__ import commands, parse
from tests.deployment.test_deployment_files import list_arguments, stages

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
TARGET = "all-in-one"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.small.yml").read_text())
RENDER: dict[str, Any] = yaml.safe_load((DEPLOY / "render.yaml").read_text())
FLY: dict[str, Any] = tomllib.loads((DEPLOY / "fly.toml").read_text())
NEEDED = {
    "KAMMERTON_REDIS_URL",
    "KAMMERTON_S3_ENDPOINT_URL",
    "KAMMERTON_S3_BUCKET",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "KAMMERTON_ADMIN_PASSWORD",
}


def test_the_image_starts_the_small_profile_on_every_address() -> None:
    python, flag, module, *arguments = list_arguments("CMD", TARGET)
    assert (python, flag, module) == ("python", "-m", "local")
    options = parse(arguments)
    assert options.workers == 1
    assert (options.host, options.port, options.verbose) == ("0.0.0.0", 8000, True)  # noqa: S104
    assert f"mkdir -m 0700 {options.data_dir} && chown 10001:10001" in stages()[TARGET]


def test_the_image_is_closed_to_strangers() -> None:
    stage = stages()[TARGET]
    for setting in ("ALLOW_ANONYMOUS=false", "RATE_LIMITS_ENABLED=true", "METRICS_PUBLIC=false"):
        assert f"KAMMERTON_{setting}" in stage
    assert "USER 10001:10001" in stage
    assert "--require-hashes" in stage


def test_the_image_is_the_last_target_because_render_builds_no_other() -> None:
    assert list(stages())[-1] == TARGET


def test_every_example_has_512_mb_and_asks_for_every_address_and_secret() -> None:
    service = COMPOSE["services"]["kammerton"]
    assert service["build"]["target"] == FLY["build"]["build-target"] == TARGET
    assert service["mem_limit"] == service["memswap_limit"] == "512m"
    assert FLY["vm"][0]["memory"] == "512mb"
    assert {name for name, value in service["environment"].items() if ":?" in value} == NEEDED
    assert {entry["key"] for entry in RENDER["services"][0]["envVars"]} >= NEEDED
    text = (DEPLOY / "fly.toml").read_text()
    assert all(f"{name}=…" in text for name in NEEDED)


def test_every_example_gives_the_time_that_a_stop_may_take() -> None:
    options = parse(list_arguments("CMD", TARGET)[3:])
    needed = sum(command.stop_seconds for command in commands(options))
    graces = {
        "compose": COMPOSE["services"]["kammerton"]["stop_grace_period"].rstrip("s"),
        "render": RENDER["services"][0]["maxShutdownDelaySeconds"],
        "fly": FLY["kill_timeout"].rstrip("s"),
    }
    assert {name: grace for name, grace in graces.items() if int(grace) < needed + 5} == {}


def test_no_example_contains_a_secret() -> None:
    for entry in RENDER["services"][0]["envVars"]:
        assert "value" not in entry or entry["key"] == "PORT"
    assert "env" not in FLY


def test_the_container_has_no_privileges() -> None:
    service = COMPOSE["services"]["kammerton"]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is service["init"] is True
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_health_checks_ask_the_port_of_the_image() -> None:
    assert FLY["http_service"]["checks"][0]["path"] == "/readyz"
    assert RENDER["services"][0]["healthCheckPath"] == "/readyz"
    assert FLY["http_service"]["internal_port"] == 8000
    assert "http://127.0.0.1:8000/readyz" in stages()[TARGET]


def test_redis_on_render_keeps_what_it_accepted() -> None:
    redis = RENDER["services"][1]
    assert redis["type"] == "keyvalue"
    assert redis["maxmemoryPolicy"] == "noeviction"
    assert redis["plan"] != "free"

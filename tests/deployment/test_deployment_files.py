"""Checks of the deployment files that need no container engine. `deploy/try` runs them for real."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.__main__ import commands
from local.launch import API_ONLY, Options
from shared.settings import Settings
from worker.health.cgroups import SLOT_BYTES
from worker.health_files import PROCESSES

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
OURS = sorted(name for name, service in SERVICES.items() if service["build"]["target"] in ("api", "worker"))
MIB = 1024 * 1024
SECRET_NAMES = re.compile("password|secret|access_key|auth|token|redis_url", re.IGNORECASE)

each_service = pytest.mark.parametrize("name", sorted(SERVICES))


def stages() -> dict[str, str]:
    """The Dockerfile's lines, by stage."""
    lines = re.sub(r"(?m)^\s*#.*\n", "", DOCKERFILE).replace("\\\n", " ")
    found = re.findall(r"(?ms)^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", lines)
    return dict(found)


def list_arguments(instruction: str, stage: str) -> list[str]:
    """The arguments of the last such instruction in a stage, which are written as a list."""
    [*_, last] = re.findall(rf"\b{instruction} (\[.*?\])\s*$", stages()[stage], re.MULTILINE)
    parsed: list[str] = yaml.safe_load(last)
    return parsed


def mebibytes(size: str) -> int:
    assert re.fullmatch(r"\d+m", size)
    return int(size[:-1])


def default_bytes(value: str) -> int:
    """The default in `${NAME:-DEFAULT}`."""
    return int(value.partition(":-")[2].rstrip("}"))


@each_service
def test_a_service_has_no_privileges(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert not service.get("privileged")
    assert not {"network_mode", "pid", "ipc", "user", "devices"} & service.keys()


@each_service
def test_a_service_runs_as_an_unprivileged_user(name: str) -> None:
    [*_, last] = re.findall(r"^USER (\S+)", stages()[SERVICES[name]["build"]["target"]], re.MULTILINE)
    user, group = last.split(":")
    assert int(user) > 0
    assert int(group) > 0


@each_service
def test_a_service_has_limits_and_restarts(name: str) -> None:
    service = SERVICES[name]
    assert 0 < mebibytes(service["mem_limit"]) <= 512
    assert service["memswap_limit"] == service["mem_limit"], "swap would hide that memory is out"
    assert 0 < service["pids_limit"] <= 256
    assert service["restart"] == "unless-stopped"
    assert service["init"] is True
    assert service["stop_grace_period"].endswith("s")


@each_service
def test_only_volumes_persist(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source, target = volume.split(":")
        assert source in COMPOSE["volumes"]
        assert f"mkdir -m 0700 {target} && chown 10001:10001 {target}" in DOCKERFILE
    for mount in SERVICES[name].get("tmpfs", []):
        assert re.search(r":size=\d+m", mount), f"{mount} could grow until the memory is out"


def test_only_the_api_is_published_and_by_default_on_localhost() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"api": ["${KAMMERTON_PUBLISH:-127.0.0.1:8000}:8000"]}


def test_every_setting_can_be_set_in_the_env_file() -> None:
    settings = {f"KAMMERTON_{name.upper()}" for name in Settings.model_fields}
    for service in OURS:
        environment = SERVICES[service]["environment"]
        names = settings if service == "api" else settings - API_ONLY
        assert names <= set(environment), "add new settings to x-settings in docker-compose.yml"
        fixed = {name for name in names if environment[name] is not None and "${" not in environment[name]}
        assert fixed == {"KAMMERTON_S3_ENDPOINT_URL"}


def test_only_the_api_gets_the_passwords_of_the_dashboard() -> None:
    holders = {name for name in OURS if API_ONLY & set(SERVICES[name]["environment"])}
    assert holders == {"api"}


def test_a_scaled_api_publishes_no_port_and_the_proxy_publishes_it() -> None:
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!reset", lambda loader, node: "reset")
    services = yaml.load((ROOT / "deploy/compose.scale.yml").read_text(), Loader)["services"]  # noqa: S506
    assert services["api"]["ports"] == "reset"
    assert services["proxy"]["ports"] == SERVICES["api"]["ports"]
    assert services["proxy"]["cap_drop"] == ["ALL"]


def test_the_proxy_passes_over_an_api_that_cannot_be_reached() -> None:
    words = (ROOT / "deploy/Caddyfile").read_text()
    assert "dynamic a api 8000" in words
    seconds = {
        name: int(found)
        for name, found in re.findall(r"(?m)^\s*(dial_timeout|lb_try_duration|keepalive) (\d+)s\b", words)
    }
    assert seconds["dial_timeout"] * 4 < seconds["lb_try_duration"], "several are tried"
    assert "lb_policy round_robin" in words, "least_conn chooses the one without connections again"
    assert seconds["keepalive"] < Settings.model_fields["keep_alive_seconds"].default


@each_service
def test_no_secret_has_a_default(name: str) -> None:
    for variable, value in SERVICES[name]["environment"].items():
        if value is not None and SECRET_NAMES.search(variable):
            [inside] = re.findall(r"\$\{(.*?)\}", value)
            required = re.fullmatch(r"\w+:\?copy \.env\.example to \.env .+", inside)
            assert required or inside == "KAMMERTON_ADMIN_PASSWORD:-", f"{variable} could be left out"


def test_no_secret_is_on_a_command_line() -> None:
    for service in SERVICES.values():
        parts = [*service.get("entrypoint", []), *service["command"]]
        assert not any(re.search(r"(?<!\$)\$\{?\w", part) for part in parts)


def test_the_example_lists_every_variable_without_a_value() -> None:
    example = (ROOT / ".env.example").read_text()
    used = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    required = set(re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yml").read_text()))
    assert used == set(re.findall(r"(?m)^(?:# )?(KAMMERTON_\w+)=", example))
    assert required == set(re.findall(r"(?m)^(KAMMERTON_\w+)=$", example))


def test_the_env_file_is_ignored_by_git_and_by_image_builds() -> None:
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
    kept = (ROOT / ".dockerignore").read_text().splitlines()
    assert next(line for line in kept if line and not line.startswith("#")) == "*"


def test_containers_run_the_same_commands_as_the_launcher() -> None:
    options = Options(host="0.0.0.0", port=8000, data_dir=Path(".data"), workers=2)  # noqa: S104
    of_local = {command.name: ["python", *command.argv[1:]] for command in commands(options)}
    assert {name: SERVICES[name]["command"] for name in OURS} == of_local


@pytest.mark.parametrize("stage", ["api", "worker"])
def test_an_image_has_the_command_and_health_check_of_its_service(stage: str) -> None:
    assert list_arguments("CMD", stage) == SERVICES[stage]["command"]
    health = re.search(r"HEALTHCHECK .*? CMD (\[.*?\])\s*$", stages()[stage], re.MULTILINE)
    assert health
    assert ["CMD", *yaml.safe_load(health[1])] == SERVICES[stage]["healthcheck"]["test"]


def test_the_health_check_of_the_background_process_asks_for_both_its_loops() -> None:
    python, *command = SERVICES["background"]["healthcheck"]["test"][1:]
    assert (python, command) == ("python", ["-m", "worker", "healthcheck", "rescuer", "notifier"])
    source = "".join(
        (ROOT / f"worker/{folder}/main.py").read_text() for folder in ("maintenance", "webhooks")
    )
    assert all(f'name="{loop}"' in source and loop in PROCESSES for loop in command[3:])


def test_services_start_after_healthy_servers() -> None:
    for name in OURS:
        assert SERVICES[name]["depends_on"] == {
            server: {"condition": "service_healthy"} for server in ("valkey", "s3")
        }
    assert all("test" in SERVICES[server]["healthcheck"] for server in ("valkey", "s3"))


def test_valkey_is_durable_and_does_not_evict() -> None:
    options = shlex.split(SERVICES["valkey"]["command"][0].splitlines()[0])
    wanted = {"--appendonly": "yes", "--appendfsync": "always", "--maxmemory-policy": "noeviction"}
    assert {name: options[options.index(name) + 1] for name in wanted} == wanted
    most = options[options.index("--maxmemory") + 1]
    # Rewriting its file forks: in the worst case every page is then there twice.
    assert 2 * int(most.removesuffix("mb")) <= mebibytes(SERVICES["valkey"]["mem_limit"])


def test_two_jobs_and_the_parent_fit_the_memory_limit_of_the_worker() -> None:
    worker = SERVICES["worker"]
    at_once = int(worker["command"][worker["command"].index("--concurrency") + 1])
    job_bytes = default_bytes(worker["environment"]["KAMMERTON_JOB_MEMORY_BYTES"])
    spool_bytes = default_bytes(worker["environment"]["KAMMERTON_SOURCE_SPOOL_BYTES"])
    parent_bytes = Settings.model_fields["worker_memory_bytes"].default
    assert (
        parent_bytes + at_once * (job_bytes + spool_bytes + SLOT_BYTES)
        <= mebibytes(worker["mem_limit"]) * MIB
    )


def test_copied_files_exist_and_are_in_the_build_context() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = set(re.findall(r"^COPY (?!--from)(\S+?)/? ", DOCKERFILE, re.MULTILINE))
    assert copied == kept
    assert all(list(ROOT.glob(path)) for path in copied)


@pytest.mark.parametrize("stage", ["api", "worker"])
def test_packages_are_pinned_by_hash(stage: str) -> None:
    assert f"-r {stage}.txt" in stages()[f"{stage}-packages"]
    assert "--require-hashes" in stages()[f"{stage}-packages"]
    text = (ROOT / f"requirements/{stage}.txt").read_text()
    pins = re.findall(r"(?m)^[a-z0-9][^\s=]*==\S+(?: ;.*)? \\\n +--hash=sha256:[0-9a-f]{64}", text)
    assert len(pins) == len(re.findall(r"(?m)^[a-z0-9]", text)) > 0


def test_the_api_image_has_no_numpy() -> None:
    names = set(re.findall(r"(?m)^([a-z0-9._-]+)==", (ROOT / "requirements/api.txt").read_text()))
    assert not names & {"numpy", "scipy", "librosa", "numba", "soundfile", "av"}
    assert "worker" not in re.findall(r"COPY (?:--from=\S+ )?(\S+)", stages()["api"])


def test_bake_builds_every_image_under_the_name_that_compose_uses() -> None:
    bake = json.loads((ROOT / "docker-bake.json").read_text())
    targets = {name: target for name, target in bake["target"].items() if name != "common"}
    assert set(bake["group"]["default"]["targets"]) == set(targets)
    assert {target["target"] for target in targets.values()} == {*stages()} & {*targets}
    assert bake["target"]["common"]["platforms"] == ["linux/amd64", "linux/arm64"]
    for service in SERVICES.values():
        image = str(service["image"]).partition(":")[0]
        assert targets[service["build"]["target"]]["tags"] == [f"${{REGISTRY}}{image}:${{KAMMERTON_VERSION}}"]


def test_every_image_of_others_has_a_tag_of_a_version() -> None:
    bases = re.findall(r"(?m)^FROM (\S+)", DOCKERFILE)
    others = [base for base in bases if base not in stages()]
    others += re.findall(r"(?m)^ +image: ([a-z]\S*)$", (ROOT / "deploy/compose.scale.yml").read_text())
    assert len(others) >= 4
    for image in others:
        assert re.fullmatch(r"[a-z0-9./-]+:\d[\w.-]*(@sha256:[0-9a-f]{64})?", image), image

"""The Kubernetes files fit the schemas of Kubernetes, and the metrics and settings of the product."""

import ipaddress
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from local.launch import API_ONLY
from shared.celery_queue import QUEUES
from shared.settings import Settings

FOLDER = Path(__file__).parents[2] / "deploy/kubernetes"
VERSION = "1.34"


def manifests(folder: str) -> list[dict[str, Any]]:
    files = sorted(file for file in (FOLDER / folder).glob("*.yaml") if file.name != "kustomization.yaml")
    return [found for file in files for found in yaml.safe_load_all(file.read_text()) if found]


BASE = manifests("base")
PODS = {
    found["metadata"]["name"]: found["spec"]["template"]["spec"]
    for found in BASE
    if found["kind"] == "Deployment"
}
each_pod = pytest.mark.parametrize("name", sorted(PODS))


@pytest.mark.parametrize("manifest", BASE, ids=lambda found: f"{found['kind']}-{found['metadata']['name']}")
def test_a_manifest_fits_the_schema_of_kubernetes(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, VERSION, strict=True)


def test_the_kustomizations_list_every_file() -> None:
    for folder in ("base", "overlays/example", "overlays/redis-scaler"):
        found = yaml.safe_load((FOLDER / folder / "kustomization.yaml").read_text())
        listed = [*found["resources"], *(patch["path"] for patch in found.get("patches", []))]
        files = {file.name for file in (FOLDER / folder).glob("*.yaml")} - {"kustomization.yaml"}
        assert files == {name for name in listed if name.endswith(".yaml")}


@each_pod
def test_a_pod_has_no_privileges_and_a_memory_limit(name: str) -> None:
    pod = PODS[name]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"]


@each_pod
def test_a_pod_gets_the_time_to_release_its_jobs(name: str) -> None:
    settings = next(found for found in BASE if found["kind"] == "ConfigMap")["data"]
    if name == "kammerton-worker":
        assert PODS[name]["terminationGracePeriodSeconds"] > int(settings["KAMMERTON_SHUTDOWN_GRACE_SECONDS"])


@each_pod
def test_a_pod_that_hangs_is_restarted_by_the_check_that_compose_makes(name: str) -> None:
    [container] = PODS[name]["containers"]
    probe = container["livenessProbe"]
    compose = yaml.safe_load((FOLDER.parents[1] / "docker-compose.yml").read_text())["services"]
    check = compose[name.removeprefix("kammerton-")]["healthcheck"]["test"]
    if "httpGet" in probe:
        assert probe["httpGet"]["path"] in check[-1]
    else:
        assert ["CMD", *probe["exec"]["command"]] == check


@each_pod
def test_only_the_api_gets_the_passwords_of_the_dashboard(name: str) -> None:
    [container] = PODS[name]["containers"]
    emptied = {entry["name"] for entry in container.get("env", []) if entry.get("value") == ""}
    passwords = {password for password in API_ONLY if not password.endswith("_FILE")}
    assert emptied & passwords == (set() if name == "kammerton-api" else passwords)


def test_the_settings_exist() -> None:
    text = "".join(file.read_text() for file in FOLDER.rglob("*.yaml"))
    named = set(re.findall(r"KAMMERTON_[A-Z0-9_]+", text))
    assert named <= {f"KAMMERTON_{name.upper()}" for name in Settings.model_fields}


def test_workers_scale_by_metrics_that_the_api_exports() -> None:
    [scaled] = manifests("overlays/example")
    assert scaled["spec"]["minReplicaCount"] == 0
    queries = [trigger["metadata"]["query"] for trigger in scaled["spec"]["triggers"]]
    source = (FOLDER.parents[1] / "api/metrics.py").read_text()
    for metric in re.findall(r"kammerton_\w+", " ".join(queries)):
        assert f'"{metric}"' in source
    assert scaled["spec"]["scaleTargetRef"]["name"] in PODS


def test_the_other_scaler_reads_the_lists_that_celery_writes() -> None:
    login, scaled = manifests("overlays/redis-scaler")
    lists = {trigger["metadata"]["listName"] for trigger in scaled["spec"]["triggers"]}
    assert lists == {Settings.model_fields["redis_prefix"].default + queue for queue in QUEUES}
    for trigger in scaled["spec"]["triggers"]:
        assert trigger["authenticationRef"]["name"] == login["metadata"]["name"]


def test_every_pod_has_rules_for_both_directions() -> None:
    policies = [found["spec"] for found in BASE if found["kind"] == "NetworkPolicy"]
    for direction in ("Ingress", "Egress"):
        named: set[str] = set()
        for policy in policies:
            if direction in policy["policyTypes"]:
                selector = policy["podSelector"]
                named |= {selector.get("matchLabels", {}).get("app", "")}
                named |= {name for rule in selector.get("matchExpressions", []) for name in rule["values"]}
        assert named - {""} == set(PODS)


EGRESS = {
    found["metadata"]["name"]: found["spec"]
    for found in BASE
    if found["kind"] == "NetworkPolicy" and "Egress" in found["spec"]["policyTypes"]
}


def test_the_api_has_a_policy_of_its_own_that_can_be_narrowed() -> None:
    api = EGRESS["kammerton-api-egress"]["podSelector"]
    assert api == {"matchLabels": {"app": "kammerton-api"}}
    [others] = EGRESS["kammerton-egress"]["podSelector"]["matchExpressions"]
    assert set(others["values"]) == set(PODS) - {"kammerton-api"}


@pytest.mark.parametrize("name", sorted(EGRESS))
def test_no_pod_reaches_the_address_where_clouds_serve_credentials(name: str) -> None:
    policy = EGRESS[name]
    addresses = ipaddress.ip_address("169.254.169.254"), ipaddress.ip_address("fd00:ec2::254")
    for rule in policy["egress"]:
        for block in (each["ipBlock"] for each in rule.get("to", [])):
            allowed, *excepted = map(ipaddress.ip_network, [block["cidr"], *block["except"]])
            for address in addresses:
                assert address not in allowed or any(address in each for each in excepted)
        assert "to" in rule or {port["port"] for port in rule["ports"]} == {53}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize("overlay", ["example", "redis-scaler"])
def test_kustomize_builds_an_overlay_from_a_base_that_fits(tmp_path: Path, overlay: str) -> None:
    copy = tmp_path / "kubernetes"
    shutil.copytree(FOLDER, copy)
    names = ("KAMMERTON_REDIS_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "KAMMERTON_ADMIN_PASSWORD")
    secrets = copy / "overlays/example/secrets.env"
    secrets.write_text("".join(f"{name}=secret\n" for name in names))
    command = ["kubectl", "kustomize", str(copy / "overlays" / overlay)]
    built = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    found = [each for each in yaml.safe_load_all(built) if each]
    kinds = [each["kind"] for each in found]
    for each in found:
        if not each["apiVersion"].startswith("keda.sh/"):
            kubernetes_validate.validate(each, VERSION, strict=True)
        assert each["metadata"]["namespace"] == "kammerton"
    assert kinds.count("Deployment") == len(PODS)
    [scaled] = [each for each in found if each["kind"] == "ScaledObject"]
    kind = "redis" if overlay == "redis-scaler" else "prometheus"
    assert {trigger["type"] for trigger in scaled["spec"]["triggers"]} == {kind}
    [config] = [each for each in found if each["kind"] == "ConfigMap"]
    assert {"KAMMERTON_S3_BUCKET", "KAMMERTON_S3_ENDPOINT_URL"} <= set(config["data"])
    images = {
        each["spec"]["template"]["spec"]["containers"][0]["image"]
        for each in found
        if each["kind"] == "Deployment"
    }
    assert all(re.search(r":\d+\.\d+\.\d+$", image) for image in images)

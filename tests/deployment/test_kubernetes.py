"""The Kubernetes files fit the schemas of Kubernetes, and the metrics and settings of the product."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

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
    for folder in ("base", "overlays/example"):
        listed = yaml.safe_load((FOLDER / folder / "kustomization.yaml").read_text())["resources"]
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


def test_the_settings_exist() -> None:
    text = "".join(file.read_text() for file in FOLDER.rglob("*.yaml"))
    named = set(re.findall(r"KAMMERTON_[A-Z0-9_]+", text))
    assert named <= {f"KAMMERTON_{name.upper()}" for name in Settings.model_fields}


def test_workers_scale_by_metrics_that_the_api_exports() -> None:
    [scaled] = manifests("overlays/example")
    queries = [trigger["metadata"]["query"] for trigger in scaled["spec"]["triggers"]]
    source = (FOLDER.parents[1] / "api/metrics.py").read_text()
    for metric in re.findall(r"kammerton_\w+", " ".join(queries)):
        assert f'"{metric}"' in source
    assert scaled["spec"]["scaleTargetRef"]["name"] in PODS

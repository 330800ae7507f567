"""The files for KEDA fit its schema, which @kubernetes-models/keda has made from the CRDs of KEDA 2.10."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deployment.test_kubernetes import manifests

SCRIPT = Path(__file__).parent / "keda_validate.cjs"
TYPES = "node_modules/@kubernetes-models/keda/keda.sh/v1alpha1"
FREE = {"metadata", "spec.triggers.metadata"}
"""Its keys depend on the kind of scaler, or belong to Kubernetes."""


def keda_manifests() -> list[dict[str, Any]]:
    """Those of both overlays; a patch is merged with what it patches."""
    [example] = manifests("overlays/example")
    login, patch = manifests("overlays/redis-scaler")
    return [example, login, {**patch, "spec": example["spec"] | patch["spec"]}]


def refusal(found: list[dict[str, Any]], node_modules: Path) -> str:
    """What the schema says is wrong; empty if they fit."""
    done = subprocess.run(
        ["node", str(SCRIPT), str(node_modules)],
        input=json.dumps(found),
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stderr if done.returncode else ""


def keys(value: Any, path: str = "") -> Iterator[str]:
    """The names of all fields below *value* that a schema defines."""
    if isinstance(value, list):
        for each in value:
            yield from keys(each, path)
    elif isinstance(value, dict) and path not in FREE:
        for name, inside in value.items():
            yield name
            yield from keys(inside, f"{path}.{name}".lstrip("."))


@pytest.mark.parametrize("number", range(3), ids=["prometheus", "login", "redis"])
def test_a_manifest_fits_the_schema_of_keda(number: int, node_modules: Path) -> None:
    manifest = keda_manifests()[number]
    assert refusal([manifest], node_modules) == ""
    types = (node_modules / TYPES / f"{manifest['kind']}.d.ts").read_text()
    assert set(keys(manifest)) <= set(re.findall(r'"(\w+)"\??:', types))


def test_what_does_not_fit_is_refused(node_modules: Path) -> None:
    wrong = keda_manifests()[0]
    wrong["spec"]["triggers"][0]["metadata"]["threshold"] = 10
    assert "/triggers/0/metadata/threshold must be string" in refusal([wrong], node_modules)
    del wrong["spec"]["triggers"]
    assert "triggers" in refusal([wrong], node_modules)

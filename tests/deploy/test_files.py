"""What `deploy/` says to Docker, Compose, Kubernetes and systemd: valid by their own rules, and true of the program."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose
from platformdirs import user_cache_path

from btc_price_tracker.app import ENDED_PER_SECOND
from btc_price_tracker.cli.main import COMMANDS
from btc_price_tracker.settings import Settings
from btc_price_tracker.telemetry.metrics import METRICS
from deploy.proxies import DEPLOY, need

HELM = "v3.19.5"
KUBERNETES = "1.34.0"
SETTINGS = {name.upper() for name in Settings.model_fields}
OTHERS = {"PATH", "PYTHONDONTWRITEBYTECODE"}
EXPOSURE = 12  # tenths, by systemd's own measure, of 100


@pytest.fixture(scope="session")
def helm() -> str:
    """The one that is installed, or built by Go and kept."""
    if found := shutil.which("helm"):
        return found
    go = need("go")
    folder = user_cache_path("btc-price-tracker-tests") / f"helm-{HELM}"
    if not (folder / "helm").exists():
        command = [go, "install", f"helm.sh/helm/v3/cmd/helm@{HELM}"]
        built = subprocess.run(
            command,
            env={**os.environ, "GOBIN": str(folder)},
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        if built.returncode:
            pytest.skip(f"helm can't be built: {built.stderr[-300:]}")
    return str(folder / "helm")


def rendered(helm: str, *values: str) -> dict[str, Any]:
    """The chart's objects, by kind."""
    command = [helm, "template", "prices", str(DEPLOY / "helm"), "--kube-version", KUBERNETES]
    for value in values:
        command += ["--set", value]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {found["kind"]: found for found in yaml.safe_load_all(text) if found}


def check_restricted(pod: dict[str, Any]) -> None:
    """What the Pod Security Standard "restricted" asks, and no token of the cluster's API."""
    assert pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & set(pod)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert all("emptyDir" in volume for volume in pod["volumes"])
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert "hostPort" not in container["ports"][0]
        assert "memory" in container["resources"]["limits"]


@pytest.mark.proof
@pytest.mark.timeout(900)
@pytest.mark.parametrize("clients", [1000, 150_000])
def test_the_chart_is_valid(helm: str, clients: int) -> None:
    subprocess.run([helm, "lint", "--strict", str(DEPLOY / "helm")], check=True, capture_output=True)
    objects = rendered(
        helm, f"maxClients={clients}", "networkPolicy.from[0].podSelector.matchLabels.app=proxy"
    )
    kinds = {"Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler", "NetworkPolicy"}
    assert set(objects) == kinds
    for found in objects.values():
        kubernetes_validate.validate(found, KUBERNETES.removesuffix(".0"), strict=True)
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    check_restricted(pod)
    assert pod["terminationGracePeriodSeconds"] >= 5 + clients / ENDED_PER_SECOND + 5
    names = {variable["name"] for variable in pod["containers"][0]["env"]}
    assert names <= SETTINGS
    (metric,) = objects["HorizontalPodAutoscaler"]["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] in {known.name for known in METRICS}


def test_the_composition_is_valid() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    PyCompose.from_yaml(yaml.safe_dump(yaml.safe_load(text))).validate()  # it knows no merge keys
    tracker = yaml.safe_load(text)["services"]["tracker"]
    assert {name.removesuffix("_FILE") for name in tracker["environment"]} <= SETTINGS
    assert tracker["deploy"]["replicas"] == 3
    for path in re.findall(r"^ +- \./(\S+?):", text, re.MULTILINE):
        assert path == "tls" or (DEPLOY / path).is_file()


def test_the_composition_is_confined() -> None:
    composition = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    services = composition["services"]
    assert {name for name, service in services.items() if "ports" in service} == {"proxy"}
    assert composition["networks"]["back"]["internal"]
    assert services["valkey"]["networks"] == services["postgres"]["networks"] == ["back"]
    assert services["proxy"]["networks"] == ["front"]
    for service in services.values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not service.get("privileged")
        assert not [mount for mount in service.get("volumes", []) if "docker.sock" in mount]
    assert services["tracker"]["read_only"]
    assert services["proxy"]["read_only"]
    assert "cap_add" not in services["tracker"]


def test_the_composition_reads_its_secrets_from_files_that_git_ignores() -> None:
    composition = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert not re.search(r"(?i)password:|://\w+:\S+@", json.dumps(composition["services"]))
    ignored = (DEPLOY.parent / ".gitignore").read_text().splitlines()
    used = {name for service in composition["services"].values() for name in service.get("secrets", [])}
    assert used == set(composition["secrets"])
    assert {secret["file"] for secret in composition["secrets"].values()} == {
        f"./secrets/{name}" for name in used
    }
    assert {"deploy/secrets/", "deploy/tls/"} <= set(ignored)


def test_all_clients_of_the_composition_have_their_own_address() -> None:
    composition = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    (network,) = composition["networks"]["front"]["ipam"]["config"]
    assert composition["services"]["tracker"]["environment"]["TRUSTED_PROXIES"] == network["subnet"]


def test_the_unit_is_valid_and_confined(tmp_path: Path) -> None:
    analyze = need("systemd-analyze")
    text = (DEPLOY / "systemd/btc-price-tracker.service").read_text()
    program = "/opt/btc-price-tracker/bin/btc-price-tracker"
    assert f"ExecStart={program} serve" in text
    assert set(re.findall(r"^Environment=(\w+)", text, re.MULTILINE)) <= SETTINGS
    unit = tmp_path / "btc-price-tracker.service"
    unit.write_text(text.replace(program, sys.executable))
    for words in (["verify"], ["security", "--offline=true", f"--threshold={EXPOSURE}"]):
        done = subprocess.run([analyze, *words, str(unit)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert unit.name not in done.stderr


def test_the_dockerfile_is_clean() -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("hadolint has no program for this system")
    done = subprocess.run([hadolint, str(DEPLOY / "Dockerfile")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dockerfile_fits_the_program() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    assert set(re.findall(r" (\w+)=", re.findall(r"^ENV.*", text, re.MULTILINE)[0])) <= SETTINGS | OTHERS
    assert re.findall(r'^CMD \["(\w+)"\]', text, re.MULTILINE)[0] in COMMANDS
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text()
    for words in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
        for path in words.split():
            assert (DEPLOY.parent / path).exists()
            assert f"!{path}\n" in allowed

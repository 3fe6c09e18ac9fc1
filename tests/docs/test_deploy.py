"""The files of examples/deploy parse, agree with each other, and load. A machine without containers can check that."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from dockerfile_parse import DockerfileParser
from typer.testing import CliRunner

from roadster_server.cli.app import app
from roadster_server.settings.loading import load
from roadster_server.settings.secrets import reveal
from roadster_server.settings.settings import Settings
from roadster_server.transports.http import guards, probes
from roadster_server.transports.http import process as http_process
from tests.conftest import PROJECT
from tests.servers import PATIENCE

DEPLOY = PROJECT / "examples" / "deploy"
TOML = (DEPLOY / "roadster.toml").read_text()
VALUES = {"STORE_URL": "postgresql://roadster@postgres:5432/roadster", "REDIS_URL": "redis://redis:6379/0"}
CONFIGURATION = "/etc/roadster-mcp/roadster.toml"
PORT = 8000


def references(text: str, scheme: str) -> set[str]:
    return set(re.findall(rf'"{scheme}:([^"]+)"', text))


def options_of(command: list[str]) -> dict[str, str]:
    """Returns the options of a `serve` command. The command line knows each, and they name the configuration."""
    assert command[:1] == ["serve"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    help_text = CliRunner().invoke(app, ["serve", "--help"]).output
    for option in options:
        assert option in help_text
    assert options["--transport"] == "http"
    assert options["--config"] == CONFIGURATION
    assert int(options["--port"]) == PORT
    return options


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


# The configurations


def test_configuration_for_containers_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    """It needs only the variables that it names."""
    for name in references(TOML, "env"):
        monkeypatch.setenv(name, VALUES.get(name, "made-up"))
    settings: Settings = load(DEPLOY / "roadster.toml")
    assert settings.store.url.get_secret_value() == VALUES["STORE_URL"]
    assert settings.replicas is not None
    assert settings.replicas.redis_url.get_secret_value() == VALUES["REDIS_URL"]
    assert settings.http.anonymous_caller is None


def test_configuration_for_the_unit_loads(tmp_path: Path) -> None:
    """It needs only the credentials that the unit loads."""
    text = (DEPLOY / "roadster.systemd.toml").read_text()
    for name in credentials():
        (tmp_path / name).write_text("made-up")
    path = tmp_path / "roadster.toml"
    path.write_text(text.replace("/run/credentials/roadster-mcp.service", str(tmp_path)))
    settings = load(path)
    assert {Path(name).name for name in references(text, "file")} == credentials()
    assert not references(text, "env")
    (folder,) = unit()["StateDirectory"]
    assert settings.store.url.get_secret_value() == f"sqlite:////var/lib/{folder}/store.db"


# systemd


def unit() -> dict[str, list[str]]:
    """Returns the lines of the unit by their key, which can appear several times."""
    lines: dict[str, list[str]] = {}
    for line in (DEPLOY / "roadster-mcp.service").read_text().splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            lines.setdefault(key, []).append(value)
    return lines


def credentials() -> set[str]:
    return {line.partition(":")[0] for line in unit()["LoadCredential"]}


def test_unit_serves_reloads_and_waits_for_the_end() -> None:
    lines = unit()
    program, *command = shlex.split(lines["ExecStart"][0])
    assert program == "/opt/roadster-mcp/.venv/bin/roadster-mcp"
    assert "--host" not in options_of(command), "this machine alone, which is the default"
    assert lines["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert seconds(lines["TimeoutStopSec"][0]) > http_process.EXIT_SECONDS


@pytest.mark.parametrize(
    ("key", "value"),
    [("DynamicUser", "yes"), ("ProtectSystem", "strict"), ("NoNewPrivileges", "yes"), ("CapabilityBoundingSet", "")],
)
def test_unit_drops_rights_that_the_server_does_not_need(key: str, value: str) -> None:
    assert unit()[key] == [value]


def test_unit_passes_systemd_analyze(tmp_path: Path) -> None:
    """The program of the unit is not installed here, so Python takes its place."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze")
    text = (DEPLOY / "roadster-mcp.service").read_text()
    copy = tmp_path / "roadster-mcp.service"
    copy.write_text(text.replace("/opt/roadster-mcp/.venv/bin/roadster-mcp", sys.executable))
    process = subprocess.run(
        [analyze, "verify", str(copy)], capture_output=True, text=True, timeout=PATIENCE, check=False, env={}
    )
    assert (process.returncode, process.stderr) == (0, "")


# Dockerfile


def instructions() -> list[tuple[str, str]]:
    parser = DockerfileParser(str(DEPLOY / "Dockerfile"), cache_content=True)
    return [(step["instruction"], step["value"]) for step in parser.structure if step["instruction"] != "COMMENT"]


def values(instruction: str) -> list[str]:
    return [value for name, value in instructions() if name == instruction]


def exec_form(instruction: str) -> list[str]:
    (value,) = values(instruction)
    words: list[str] = yaml.safe_load(value[value.index("[") :])
    return words


def test_image_has_two_stages_and_ends_without_root() -> None:
    build, run = values("FROM")
    assert build == f"{run} AS build", "the same Python, which the environment was made for"
    assert ":" in run
    assert not run.endswith(":latest")
    steps = [name for name, _ in instructions()]
    last_stage = steps[len(steps) - steps[::-1].index("FROM") :]
    assert last_stage.count("COPY") == 1, "the environment alone"
    user = values("USER")[-1]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert "RUN" not in last_stage[last_stage.index("USER") :]


def test_image_copies_files_that_exist_and_are_not_ignored() -> None:
    ignore_lines = (DEPLOY / "Dockerfile.dockerignore").read_text().split("\n")
    sources = [source for value in values("COPY") if "--from" not in value for source in value.split()[:-1]]
    for source in sources:
        assert (PROJECT / source).exists(), source
        assert f"!{source}" in ignore_lines
    packages = {path.parent.name for path in PROJECT.glob("*/roadster_*/") if path.is_dir()}
    assert packages <= set(sources)
    assert ignore_lines[1] == "*", "everything else stays out"


def test_image_installs_the_locked_versions() -> None:
    dependencies, project = (value for value in values("RUN") if "pip install" in value)
    assert "--require-hashes -r requirements.lock" in dependencies
    assert project.endswith("--no-deps .")


def test_image_serves_and_has_a_health_check() -> None:
    assert exec_form("ENTRYPOINT") == ["roadster-mcp"]
    options = options_of(exec_form("CMD"))
    assert options["--host"] == "0.0.0.0"
    assert values("EXPOSE") == [str(PORT)]
    python, flag, code = exec_form("HEALTHCHECK")
    assert (python, flag) == ("python", "-c")
    compile(code, "HEALTHCHECK", "exec")
    assert f"'127.0.0.1', {PORT}" in code
    assert "'/healthz'" in code


def test_deploy_files_hold_no_secret() -> None:
    """A secret is a variable to set, a reference, or a name."""
    for path in DEPLOY.iterdir():
        text = path.read_text()
        assert not re.search(r"://[^\s:@/]+:(?!\$\{)[^\s@/]+@", text), f"{path.name}: a password in a URL"
        for name in references(TOML, "env") | {"POSTGRES_PASSWORD"}:
            for value in re.findall(rf"^\s*{name}[:=] *(\S+)", text, re.MULTILINE):
                assert value.startswith(("${", "postgresql://roadster:${", "redis://redis")), (path.name, name)
    with pytest.raises(ValueError, match="literal secret"):
        reveal("made-up")


# Compose


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return document


def test_compose_passes_the_variables_of_the_configuration(compose: dict[str, Any]) -> None:
    server = compose["services"]["roadster-mcp"]
    assert server["environment"].keys() == references(TOML, "env")
    (volume,) = server["volumes"]
    source, target, mode = volume.split(":")
    assert (DEPLOY / source).samefile(DEPLOY / "roadster.toml")
    assert (target, mode) == (CONFIGURATION, "ro")
    build = server["build"]
    assert (DEPLOY / build["context"]).samefile(PROJECT)
    assert (PROJECT / build["dockerfile"]).samefile(DEPLOY / "Dockerfile")
    for name, port in (("STORE_URL", "@postgres:5432/"), ("REDIS_URL", "//redis:6379/")):
        assert port in server["environment"][name]
    assert server["depends_on"].keys() == compose["services"].keys() - {"roadster-mcp"}


def test_compose_opens_one_port_to_this_machine(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services["roadster-mcp"]["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
    for name in ("postgres", "redis"):
        assert "ports" not in services[name]
        assert services[name]["networks"] == ["inside"]
        assert services[name]["healthcheck"]["test"][0] == "CMD"
    assert compose["networks"]["inside"] == {"internal": True}
    assert services["postgres"]["volumes"][0].partition(":")[0] in compose["volumes"]


def test_compose_gives_few_rights_and_time_to_end(compose: dict[str, Any]) -> None:
    server = compose["services"]["roadster-mcp"]
    assert server["read_only"]
    assert server["cap_drop"] == ["ALL"]
    assert seconds(server["stop_grace_period"]) > http_process.EXIT_SECONDS
    for service in compose["services"].values():
        assert service["security_opt"] == ["no-new-privileges:true"]


# Kubernetes


@pytest.fixture(scope="module")
def manifests() -> dict[str, dict[str, Any]]:
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
    assert len({manifest["kind"] for manifest in documents}) == len(documents)
    for manifest in documents:
        assert manifest["metadata"].get("namespace", "roadster-mcp") == "roadster-mcp"
    return {manifest["kind"]: manifest for manifest in documents}


@pytest.fixture(scope="module")
def pod(manifests: dict[str, dict[str, Any]]) -> dict[str, Any]:
    spec: dict[str, Any] = manifests["Deployment"]["spec"]["template"]["spec"]
    return spec


def test_config_map_holds_the_configuration(manifests: dict[str, dict[str, Any]], pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    assert manifests["ConfigMap"]["data"] == {"roadster.toml": TOML}
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert mounts["configuration"]["mountPath"] == str(Path(CONFIGURATION).parent)
    assert "subPath" not in mounts["configuration"], "it would never change"
    assert {volume["name"] for volume in pod["volumes"]} == mounts.keys()
    names = {volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume}
    assert names == {manifests["ConfigMap"]["metadata"]["name"]}


def test_every_secret_comes_from_the_secret_object(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    references_by_name = {entry["name"]: entry["valueFrom"]["secretKeyRef"] for entry in container["env"]}
    assert references_by_name.keys() == references(TOML, "env")
    for name, reference in references_by_name.items():
        assert reference == {"name": "roadster-mcp", "key": name}
    assert "kind: Secret" not in (DEPLOY / "kubernetes.yaml").read_text()


def test_probes_use_the_servers_probe_paths(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    (port,) = container["ports"]
    assert port == {"name": "http", "containerPort": PORT}
    requests = {name: container[f"{name}Probe"]["httpGet"] for name in ("liveness", "readiness", "startup")}
    assert {probe["port"] for probe in requests.values()} == {"http"}
    assert {name: probe["path"] for name, probe in requests.items()} == {
        "liveness": "/healthz",
        "readiness": "/readyz",
        "startup": "/healthz",
    }
    assert {probe["path"] for probe in requests.values()} <= set(guards.BY_ADDRESS)
    assert container["readinessProbe"]["timeoutSeconds"] > probes.PROBE_SECONDS
    assert "command" not in container
    assert "args" not in container, "the image knows how to serve"


def test_two_pods_end_in_time_and_never_together(manifests: dict[str, dict[str, Any]], pod: dict[str, Any]) -> None:
    deployment = manifests["Deployment"]["spec"]
    assert deployment["replicas"] == 2
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert manifests["PodDisruptionBudget"]["spec"]["minAvailable"] == 1
    assert pod["terminationGracePeriodSeconds"] > http_process.EXIT_SECONDS


def test_selectors_match_the_pods_of_the_deployment(manifests: dict[str, dict[str, Any]]) -> None:
    labels = manifests["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert manifests["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert manifests["Service"]["spec"]["selector"] == labels
    assert manifests["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    assert manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels


def test_pods_have_few_rights(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    user = values("USER")[-1].partition(":")[0]
    assert pod["securityContext"]["runAsNonRoot"]
    assert str(pod["securityContext"]["runAsUser"]) == user
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_network_policy_opens_the_port_and_the_stores(
    manifests: dict[str, dict[str, Any]],
) -> None:
    policy = manifests["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [port["port"] for rule in policy["ingress"] for port in rule["ports"]] == [PORT]
    assert all(rule["from"] for rule in policy["ingress"])
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {53, 443, 5432, 6379}
    assert manifests["Service"]["spec"]["ports"][0]["targetPort"] == "http"


def test_metrics_annotations_match_the_server(manifests: dict[str, dict[str, Any]]) -> None:
    notes = manifests["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    assert notes["prometheus.io/path"] in guards.BY_ADDRESS
    assert notes["prometheus.io/port"] == str(PORT)


def test_readme_lists_each_deploy_file() -> None:
    rows = set(re.findall(r"^\| \[(\S+)\]", (DEPLOY / "README.md").read_text(), re.MULTILINE))
    assert rows == {path.name for path in DEPLOY.iterdir()} - {"README.md"}

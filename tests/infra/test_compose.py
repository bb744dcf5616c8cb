"""docker-compose.yml fits the Compose specification and keeps what we promise about it.

No Docker engine is needed: the schema is the one that the Compose project publishes, as the package
check-jsonschema carries it. What the images do is tested as far as it is ours: their commands run
here.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from dataflows.settings import Settings, load_settings
from infra.embedded import resident_mib

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "infra" / "docker"
OURS = {"flow", "api", "dashboard"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return content


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    file = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    content: dict[str, Any] = json.loads(file.read_text())
    return content


def test_the_file_fits_the_compose_specification(
    compose: dict[str, Any], schema: dict[str, Any]
) -> None:
    jsonschema.validate(compose, schema)


def test_the_schema_would_find_a_misspelt_key(
    compose: dict[str, Any], schema: dict[str, Any]
) -> None:
    broken = json.loads(json.dumps(compose))
    broken["services"]["flow"]["healthchek"] = broken["services"]["flow"].pop("healthcheck")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)


def test_every_image_is_pinned_to_a_full_version(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert re.search(r":\d+\.\d+\.\d+(-[a-z]+)?$", service["image"]), name
    stages = re.findall(r"^FROM (\S+)", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
    assert len(set(stages)) == 1
    assert re.fullmatch(r"python:3\.12\.\d+-slim-\w+", stages[0])


def test_every_service_has_a_health_check_and_waits_for_healthy_ones(
    compose: dict[str, Any],
) -> None:
    for name, service in compose["services"].items():
        assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}, name
        for needed, how in service.get("depends_on", {}).items():
            assert needed in compose["services"]
            assert how == {"condition": "service_healthy"}


def test_ports_are_published_on_loopback_alone(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("service", ["dashboard", "api"])
def test_what_others_can_reach_does_not_start_without_a_token(
    compose: dict[str, Any], service: str
) -> None:
    environment, prefix = compose["services"][service]["environment"], service.upper()
    host = environment[f"SENTISTREAM_{prefix}__HOST"]
    assert host == "0.0.0.0"  # noqa: S104 - hence the token
    token = f"SENTISTREAM_{prefix}__TOKEN"
    assert environment[token].startswith(f"${{{token}:?")


def test_what_must_survive_lies_in_named_volumes(compose: dict[str, Any]) -> None:
    mounts = {
        name: [mount.split(":") for mount in service.get("volumes", [])]
        for name, service in compose["services"].items()
    }
    assert {name for name, volumes in mounts.items() if volumes} == {"kafka", "redis", "flow"}
    used = {volume for volumes in mounts.values() for volume, _ in volumes}
    assert used == set(compose["volumes"])
    # The folder that the image prepares with owner and mode, the mount and the command agree.
    (recovery,) = [path for _, path in mounts["flow"]]
    assert compose["services"]["flow"]["command"] == ["flow.sh", recovery]
    assert recovery in (DOCKER / "Dockerfile").read_text()


def test_our_containers_cannot_write_to_their_image_nor_gain_rights(
    compose: dict[str, Any],
) -> None:
    for name in OURS:
        service = compose["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]
    assert "\nUSER 10001:10001\n" in (DOCKER / "Dockerfile").read_text()


def test_the_settings_of_the_services_exist(
    compose: dict[str, Any], clean_environment: pytest.MonkeyPatch
) -> None:
    for name in OURS:
        for variable, value in compose["services"][name]["environment"].items():
            clean_environment.setenv(variable, str(value))
    settings = load_settings()
    assert settings.kafka.brokers == "kafka:19092"
    assert settings.redis.url.get_secret_value() == "redis://redis:6379/0"


def test_the_kafka_listener_of_the_containers_is_the_one_that_is_advertised(
    compose: dict[str, Any],
) -> None:
    kafka = compose["services"]["kafka"]["environment"]
    advertised = dict(
        entry.split("://") for entry in kafka["KAFKA_ADVERTISED_LISTENERS"].split(",")
    )
    listeners = dict(entry.split("://") for entry in kafka["KAFKA_LISTENERS"].split(","))
    assert advertised["INSIDE"] == compose["x-addresses"]["SENTISTREAM_KAFKA__BROKERS"]
    assert listeners["INSIDE"] == ":19092"
    assert advertised["OUTSIDE"] == "localhost:9092"
    assert set(listeners) == {*advertised, kafka["KAFKA_CONTROLLER_LISTENER_NAMES"]}


def test_everything_that_the_dockerfile_copies_is_there_and_not_ignored() -> None:
    lines = re.findall(r"^COPY (?!--from)(.+)$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
    sources = [word for line in lines for word in line.split()[:-1] if not word.startswith("--")]
    kept = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source.split('/')[0]}" in kept


@pytest.mark.integration
def test_the_flow_of_the_container_starts_is_healthy_and_resumes(
    settings: Settings, tmp_path: Path
) -> None:
    recovery = tmp_path / "recovery"
    recovery.mkdir()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "ORT_DISABLE_TELEMETRY": "1"}

    def healthy() -> bool:
        check = [sys.executable, str(DOCKER / "flow_healthy.py")]
        return subprocess.run(check, env=env, check=False).returncode == 0

    assert not healthy()
    for _ in ("first start", "resumed"):
        log = tmp_path / "flow.log"
        with (
            log.open("wb") as output,
            subprocess.Popen(
                ["sh", str(DOCKER / "flow.sh"), str(recovery)],
                env=env,
                stdout=output,
                stderr=output,
            ) as flow,
        ):
            try:
                while not healthy():
                    assert flow.poll() is None, log.read_text()
                    time.sleep(0.1)
                assert resident_mib(flow.pid) > 0  # the shell has become the flow itself
            finally:
                flow.send_signal(signal.SIGTERM)
        stores = sorted(file.name for file in recovery.glob("part-*.sqlite3"))
        assert stores == [f"part-{number}.sqlite3" for number in range(4)]

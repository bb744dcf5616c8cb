"""Puts a real Apache Kafka together from Maven Central, one node in KRaft mode."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from infra.ports import LOOPBACK, Ports
from infra.supervisor import Program, Supervisor

POM = Path(__file__).with_name("kafka-pom.xml")
CLUSTER_ID = "c2VudGlzdHJlYW0tdGVzdA"  # any 16 bytes in base64
DOWNLOAD_S = 300
START_S = 60.0
PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
message.max.bytes=67108864
log.retention.ms=-1
"""


@dataclass(frozen=True)
class Kafka:
    """A running Kafka, which may be killed and started again."""

    brokers: str
    program: Program
    supervisor: Supervisor

    def kill(self) -> None:
        """Kill it and start it again over what it has on disk."""
        self.supervisor.stop()  # it is disposable, so this is kill -9
        self.supervisor.start(self.program)


@contextmanager
def running(directory: Path) -> Iterator[Kafka]:
    """Start a real Apache Kafka; skips the test where there is no Java or Maven to make one."""
    if tool := next((tool for tool in ("java", "mvn") if shutil.which(tool) is None), None):
        pytest.skip(f"a real Apache Kafka needs {tool}")
    with Ports() as ports, Supervisor(directory) as supervisor:
        port = ports.free()
        program = apache_kafka(directory, port, ports.free())
        supervisor.start(program)
        yield Kafka(f"{LOOPBACK}:{port}", program, supervisor)


def apache_kafka(directory: Path, port: int, controller: int) -> Program:
    """Download the jars (once, into Maven's own cache), format the store, return the program."""
    jars = directory / "jars"
    subprocess.run(
        ["mvn", "-q", "-B", "-f", POM, "dependency:copy-dependencies", f"-DoutputDirectory={jars}"],
        check=True,
        timeout=DOWNLOAD_S,
    )
    properties = directory / "server.properties"
    values = {"host": LOOPBACK, "port": port, "controller": controller}
    properties.write_text(PROPERTIES.format(**values, data=directory / "data"))
    java = ["java", "-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
    java += ["-cp", f"{jars}/*"]
    subprocess.run(
        [*java, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", properties],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    client = AdminClient({"bootstrap.servers": f"{LOOPBACK}:{port}", "log_level": 0})

    def ready() -> bool:
        try:
            return bool(client.list_topics(timeout=1).brokers)
        except KafkaException:
            return False

    argv = [*java, "kafka.Kafka", str(properties)]
    return Program("kafka", argv, ready, limit_s=START_S, disposable=True)

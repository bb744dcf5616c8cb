"""Puts a real Apache Kafka together from Maven Central, one node or several, in KRaft mode."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from infra.ports import LOOPBACK, Ports
from infra.supervisor import Program, Supervisor

POM = Path(__file__).with_name("kafka-pom.xml")
BUILD = POM.parents[1] / "build"
CLUSTER_ID = "c2VudGlzdHJlYW0tdGVzdA"  # any 16 bytes in base64
DOWNLOAD_S = 300
PROPERTIES = """
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners=PLAINTEXT://{broker},CONTROLLER://{controller}
advertised.listeners=PLAINTEXT://{broker}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
default.replication.factor={nodes}
offsets.topic.replication.factor={nodes}
transaction.state.log.replication.factor={nodes}
min.insync.replicas={majority}
transaction.state.log.min.isr={majority}
group.initial.rebalance.delay.ms=0
message.max.bytes=67108864
log.retention.ms=-1
"""


@dataclass(frozen=True)
class Node:
    """One broker, with its share of the controllers."""

    program: Program
    supervisor: Supervisor

    def start(self) -> None:
        """Start it over what it has on disk, and wait until all brokers are there."""
        self.supervisor.start(self.program)

    def stop(self) -> None:
        """End it by kill -9, since it is disposable."""
        self.supervisor.stop()


@dataclass(frozen=True)
class Kafka:
    """A running Kafka, whose nodes may be killed and started again."""

    brokers: str
    nodes: list[Node]

    def kill(self) -> None:
        """Kill its first node and start it again."""
        self.nodes[0].stop()
        self.nodes[0].start()


def fetched() -> Path:
    """Return the folder of Kafka's jars, which Maven fetches at the first time."""
    jars = BUILD / f"kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    with POM.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not jars.is_dir():
            part = jars.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            command = ["mvn", "-q", "-B", "-f", POM, "dependency:copy-dependencies"]
            command += [f"-DoutputDirectory={part}"]
            subprocess.run(command, check=True, timeout=DOWNLOAD_S)
            part.rename(jars)
    return jars


@contextmanager
def running(directory: Path, count: int = 1) -> Iterator[Kafka]:
    """Start a real Apache Kafka of so many nodes, which have a copy of everything each.

    Skips the test where there is no Java or Maven to make one.
    """
    if tool := next((tool for tool in ("java", "mvn") if shutil.which(tool) is None), None):
        pytest.skip(f"a real Apache Kafka needs {tool}")
    jars = fetched()
    with Ports() as ports, ExitStack() as supervisors:
        brokers = [f"{LOOPBACK}:{ports.free()}" for _ in range(count)]
        controllers = [f"{LOOPBACK}:{ports.free()}" for _ in range(count)]
        nodes = []
        for number in range(count):
            folder = directory / f"node-{number}"
            folder.mkdir()
            program = _node(jars, folder, number, brokers, controllers)
            nodes.append(Node(program, supervisors.enter_context(Supervisor(folder))))
        # None is ready without the others, so only the last one is waited for.
        for node in nodes[:-1]:
            node.supervisor.start(replace(node.program, ready=lambda: True))
        nodes[-1].start()
        yield Kafka(",".join(brokers), nodes)


def _node(
    jars: Path, folder: Path, number: int, brokers: list[str], controllers: list[str]
) -> Program:
    """Format the store of one node, and return what runs it."""
    properties = folder / "server.properties"
    properties.write_text(
        PROPERTIES.format(
            node=number + 1,
            voters=",".join(f"{n}@{address}" for n, address in enumerate(controllers, start=1)),
            broker=brokers[number],
            controller=controllers[number],
            data=folder / "data",
            nodes=len(brokers),
            majority=len(brokers) // 2 + 1,
        )
    )
    java = ["java", "-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
    java += ["-cp", f"{jars}/*"]
    subprocess.run(
        [*java, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", properties],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    client = AdminClient({"bootstrap.servers": ",".join(brokers), "log_level": 0})

    def ready() -> bool:
        try:
            return len(client.list_topics(timeout=1).brokers) == len(brokers)
        except KafkaException:
            return False

    argv = [*java, "kafka.Kafka", str(properties)]
    return Program("kafka", argv, ready, disposable=True)


if __name__ == "__main__":
    print(fetched())

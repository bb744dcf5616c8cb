"""The local stack: which servers and programs it has, and how they are started in order."""

from __future__ import annotations

import http.client
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bytewax.recovery import init_db_dir
from rich.table import Table

from dataflows.clients import check_redis, redis_location
from dataflows.settings import Settings
from dataflows.stopping import NO_USE
from dataflows.topics import ensure_topics
from infra import embedded
from infra.ports import LOOPBACK, Ports
from infra.summary import Ledger
from infra.supervisor import Program, Supervisor
from models.wheels import fetch

__all__ = ["Stack"]

ROOT = Path(__file__).parents[1]  # the repository, or where the package is installed
DASHBOARD = "dashboard"
API = "api"
PROBE_S = 1.0


@dataclass
class Stack:
    """Starts the servers that no address is given for, the flow, the API and the dashboard.

    Args:
        settings: as read; the addresses of what the stack starts are added to them.
        supervisor: owns all child processes.
        ports: owns the claims on their ports.
        directory: private to this stack: logs and the flow's recovery store.
        workers: processes of the flow.
        port: of the dashboard; None takes the usual one if it is free, else any.
    """

    settings: Settings
    supervisor: Supervisor
    ports: Ports
    directory: Path
    workers: int = 1
    port: int | None = None
    api_port: int = field(init=False, default=0)
    _given_kafka: bool = field(init=False)
    _given_redis: bool = field(init=False)

    def __post_init__(self) -> None:
        # By the environment or by the settings file; a default is no address given.
        self._given_kafka = "brokers" in self.settings.kafka.model_fields_set
        self._given_redis = "url" in self.settings.redis.model_fields_set

    def start_servers(self) -> None:
        """Start the embedded servers that are needed, check the others, and make the topics.

        Raises:
            ServiceError: a server is not installed, does not start or does not answer.
        """
        kafka, redis = self.settings.kafka, self.settings.redis
        programs = []
        if not self._given_kafka:
            port = self.ports.free()
            programs.append(embedded.broker(port))
            kafka = kafka.model_copy(update={"brokers": f"{LOOPBACK}:{port}"})
        if not self._given_redis:
            port = self.ports.free()
            programs.append(embedded.redis_server(port, self.directory))
            url = type(redis.url)(f"redis://{LOOPBACK}:{port}/0")
            redis = redis.model_copy(update={"url": url})
        if self._given_kafka and "start" not in kafka.model_fields_set:
            # The recovery store of this stack is always new; from the beginning, each start would
            # score the whole topic again.
            kafka = kafka.model_copy(update={"start": "latest"})
        self.settings = self.settings.model_copy(update={"kafka": kafka, "redis": redis})
        self.supervisor.start(*programs)
        check_redis(redis)
        ensure_topics(self.settings)

    def start_programs(self, ledger: Ledger) -> None:
        """Start the flow, the API and the dashboard, and block until all are healthy.

        Raises:
            AssetError: the face detector can neither be found nor downloaded.
            ServiceError: one ended or was not healthy in time.
        """
        fetch("centerface")  # once, here, rather than within the limit of each worker
        if self.port is None:
            own = "port" in self.settings.dashboard.model_fields_set
            usual = self.settings.dashboard.port
            self.port = usual if own else self.ports.free([usual])
        api = self.settings.api
        own = "port" in api.model_fields_set
        self.api_port = api.port if own else self.ports.free([api.port])
        self.supervisor.start(*self._flow(ledger), self._api(), self._dashboard(self.port))

    @property
    def worker_ids(self) -> list[str]:
        """The ids under which the flow's processes send their heartbeats."""
        pids = [self.supervisor.pid(self._flow_name(number)) for number in range(self.workers)]
        return [f"{socket.gethostname()}-{pid}" for pid in pids]

    @property
    def dashboard_url(self) -> str:
        """Where a browser finds the dashboard."""
        return f"http://{_reachable(self.settings.dashboard.host)}:{self.port}"

    @property
    def api_url(self) -> str:
        """Where programs find the REST API."""
        return f"http://{_reachable(self.settings.api.host)}:{self.api_port}"

    def broker_mib(self) -> int:
        """Return the resident memory of the embedded broker in MiB, 0 without one."""
        if self._given_kafka:
            return 0
        return embedded.resident_mib(self.supervisor.pid(embedded.BROKER))

    def table(self) -> Table:
        """Return the addresses as a table for people."""
        embedded_note = "embedded, in memory only"
        kafka = "yours" if self._given_kafka else embedded_note
        redis = "yours" if self._given_redis else embedded_note
        table = Table(title="SentiStream is up", title_justify="left")
        for column in ("part", "address", "note"):
            table.add_column(column, overflow="fold")
        topic = f"events go to the topic {self.settings.kafka.topic}"
        table.add_row("dashboard", self.dashboard_url, "open it in a browser")
        table.add_row("REST API", self.api_url, "docs/api.md shows it by example")
        table.add_row("Kafka broker", self.settings.kafka.brokers, f"{kafka}; {topic}")
        table.add_row("Redis", redis_location(self.settings.redis), redis)
        table.add_row("flow", f"{self.workers} worker process(es)", "")
        table.add_row("logs", str(self.directory), "kept only if something fails")
        return table

    def _flow(self, ledger: Ledger) -> list[Program]:
        """Return the programs of the flow: one process alone, or several as one cluster."""
        recovery = self.directory / "recovery"
        recovery.mkdir(mode=0o700)  # its content is pickled, so nobody else may write there
        init_db_dir(recovery, self.workers)  # type: ignore[no-untyped-call]
        python = [sys.executable, "-P", "-m", "bytewax.run", str(ROOT / "dataflows/sentiment.py")]
        # The epoch of 1 s is also the unit of back-pressure; no extra snapshots are kept.
        command = [*python, "-r", str(recovery), "-s", "1", "-b", "0"]
        addresses = ";".join(f"{LOOPBACK}:{self.ports.free()}" for _ in range(self.workers))
        programs = []
        for number in range(self.workers):
            cluster = ["-i", str(number), "-a", addresses] if self.workers > 1 else []
            programs.append(
                Program(
                    name=self._flow_name(number),
                    argv=[*command, *cluster],
                    env=self._environment() | self._thread_share(),
                    ready=self._heartbeat_probe(ledger, number),
                    # A cluster cannot go on without one of its processes, nor take it back alone.
                    group="flow",
                    final=frozenset({NO_USE}),
                )
            )
        return programs

    def _dashboard(self, port: int) -> Program:
        return Program(
            name=DASHBOARD,
            argv=[sys.executable, "-P", "-m", "dashboard"],
            env=self._environment()
            | {
                "SENTISTREAM_DASHBOARD__PORT": str(port),
                "SENTISTREAM_API__PORT": str(self.api_port),  # its page "Try it" asks there
            },
            ready=_http_probe(_reachable(self.settings.dashboard.host), port, "/healthz"),
        )

    def _api(self) -> Program:
        return Program(
            name=API,
            argv=[sys.executable, "-P", "-m", "serving"],
            env=self._environment() | {"SENTISTREAM_API__PORT": str(self.api_port)},
            ready=_http_probe(_reachable(self.settings.api.host), self.api_port, "/readyz"),
        )

    def _flow_name(self, number: int) -> str:
        return f"flow-{number + 1}" if self.workers > 1 else "flow"

    def _environment(self) -> dict[str, str | None]:
        path = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        return {
            "SENTISTREAM_KAFKA__BROKERS": self.settings.kafka.brokers,
            "SENTISTREAM_KAFKA__START": self.settings.kafka.start,
            "SENTISTREAM_REDIS__URL": self.settings.redis.url.get_secret_value(),
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
            "PYTHONUNBUFFERED": "1",  # so that the last lines of a log are the last ones
            # ONNX Runtime reports its use to its maker otherwise.
            "ORT_DISABLE_TELEMETRY": "1",
            # Any value, even 0, makes Bytewax serve its state on all interfaces without a password.
            "BYTEWAX_DATAFLOW_API_ENABLED": None,
        }

    def _thread_share(self) -> dict[str, str | None]:
        """Share the cores among the workers, unless the user sets the threads of each."""
        if self.workers == 1 or self.settings.threads > 0:
            return {}
        share = (os.cpu_count() or 1) // self.workers
        return {"SENTISTREAM_THREADS": str(max(1, share))}

    def _heartbeat_probe(self, ledger: Ledger, number: int) -> Callable[[], bool]:
        return lambda: bool(ledger.heartbeats([self.worker_ids[number]]))


def _reachable(host: str) -> str:
    """Return an address at which one finds what listens on `host`."""
    return LOOPBACK if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound


def _http_probe(host: str, port: int, path: str) -> Callable[[], bool]:
    def ready() -> bool:
        connection = http.client.HTTPConnection(host, port, timeout=PROBE_S)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return ready

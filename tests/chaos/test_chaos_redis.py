"""Redis is killed, emptied, rolled back, cut off or frozen; then it is as if nothing had been."""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from streams import Stream
from traffic import Mix, traffic
from world import World

from infra import embedded
from infra.ports import LOOPBACK, Ports
from infra.supervisor import Program, Supervisor

pytestmark = [pytest.mark.integration, pytest.mark.kafka]

EVENTS = 2000  # before each breakage


class Server:
    """A Redis of one test, and the ways to break it."""

    def __init__(self, supervisor: Supervisor, port: int, directory: Path, frozen_s: float) -> None:
        self.url = f"redis://{LOOPBACK}:{port}/0"
        self._supervisor, self._directory, self._frozen_s = supervisor, directory, frozen_s
        program = embedded.redis_server(port, directory)
        # The last of two equal options holds. What is on disk may be a second old.
        kept = [*program.argv, "--appendonly", "yes", "--appendfsync", "everysec"]
        self._empty, self._kept = program, dataclasses.replace(program, argv=kept)
        supervisor.start(self._kept)

    def restart_with_its_log(self) -> None:
        self._restart(self._kept)

    def restart_with_an_old_log(self) -> None:
        """Lose the last fifth of the log, as a disk may that was not asked to write at once."""
        self._supervisor.stop()
        (log,) = self._directory.glob("appendonlydir/*.incr.aof")
        os.truncate(log, log.stat().st_size * 4 // 5)
        self._supervisor.start(self._kept)

    def restart_empty(self) -> None:
        self._restart(self._empty)

    def flush(self) -> None:
        self._client().flushall()

    def cut_off(self) -> None:
        self._client().client_kill_filter(_type="normal")

    def freeze(self) -> None:
        pid = self._supervisor.pid(embedded.REDIS)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(self._frozen_s)
        os.kill(pid, signal.SIGCONT)

    def _restart(self, program: Program) -> None:
        self._supervisor.stop()  # it is disposable, so this is kill -9
        time.sleep(0.5)
        self._supervisor.start(program)

    def _client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)


QUICK: tuple[Callable[[Server], None], ...] = (Server.flush,)
NIGHTLY: tuple[Callable[[Server], None], ...] = (
    Server.restart_empty,
    Server.restart_with_its_log,
    Server.restart_with_an_old_log,
    Server.cut_off,
    Server.freeze,
)


@pytest.mark.parametrize(
    "break_it",
    [*QUICK, *(pytest.param(way, marks=pytest.mark.nightly) for way in NIGHTLY)],
    ids=lambda way: way.__name__,
)
def test_a_redis_that_comes_back_has_all_panes_again(
    break_it: Callable[[Server], None],
    environment: dict[str, str],
    kafka_brokers: str,
    tmp_path: Path,
    pick: Callable[[Any, Any], Any],
    figures: dict[str, object],
) -> None:
    generator = random.Random(break_it.__name__)
    times, took_s = pick(4, 1), []
    with Ports() as ports, Supervisor(tmp_path) as supervisor:
        server = Server(supervisor, ports.free(), tmp_path, pick(30.0, 5.0))
        servers = {
            "SENTISTREAM_KAFKA__BROKERS": kafka_brokers,
            "SENTISTREAM_REDIS__URL": server.url,
        }
        world = World(Stream(environment | servers), tmp_path)
        with world.stream.flow(*world.options) as flow:
            flow.wait_started()
            for hour in range(times):
                seed = generator.randrange(10**6)
                world.send(traffic(EVENTS, seed, Mix(late=0, hour=hour)))
                time.sleep(generator.random())
                break_it(server)
                took_s.append(world.settle(flow, world.oracle()))
    figures |= {"times": times, "longest until equal again (s)": f"{max(took_s):.1f}"}

"""More than the flow can take, for long, and on several processes."""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from streams import ROOT, Sent
from traffic import Mix, traffic
from world import Running, World

from dataflows.stopping import NO_USE
from infra.ports import LOOPBACK, Ports
from infra.supervisor import Program, Supervisor

pytestmark = [pytest.mark.integration, pytest.mark.kafka, pytest.mark.nightly]

Figures = dict[str, object]
SLICE_S = 1.0  # the sender's step


def test_three_times_too_much_is_late_and_right(world: World, figures: Figures) -> None:
    calm, seconds = 30_000, 60
    world.send(traffic(calm, seed=21))
    with world.stream.flow(*world.options) as flow:
        flow.wait_started()
        rate = speed(world, flow, calm)
        world.settle(flow, world.oracle())
        before = resident_mib(flow.process.pid)
        events = traffic(int(3 * rate * seconds), seed=22, mix=Mix(hour=1))
        peak = Peak(flow.process.pid)
        began = time.monotonic()
        send_evenly(world, events, seconds)
        sent_s = time.monotonic() - began
        behind = len(events) + calm - accounted(world)
        assert behind > rate, "it was not too much"
        expected = world.oracle()
        world.settle(flow, expected, patience_s=20 * seconds)
        peak.end()
    world.check_dead_letters(expected)
    figures |= {
        "events": calm + len(events),
        "sent in (s)": f"{sent_s:.0f}",
        "events behind at its end": behind,
        "memory before and at most (MiB)": f"{before:.0f}, {peak.mib:.0f}",
    }


def test_memory_stays_flat(world: World, figures: Figures) -> None:
    step, steps = 100_000, 10
    sizes = []
    # Each step is an hour of event time. So the state is as large as it gets after the second.
    with world.stream.flow(*world.options, SENTISTREAM_RETENTION_S="3660") as flow:
        flow.wait_started()
        for number in range(steps):
            world.send(traffic(step, seed=100 + number, mix=Mix(hour=number)))
            world.wait(flow, lambda sent=(number + 1) * step: accounted(world) >= sent, 600)
            sizes.append(resident_mib(flow.process.pid))
        world.settle(flow, world.oracle(), patience_s=600)
    warm = sizes[2:]
    assert warm[-1] < 1.1 * warm[0], sizes
    slope = (warm[-1] - warm[0]) / (len(warm) - 1)
    figures |= {
        "events": step * steps,
        f"memory after each {step:,} (MiB)": " ".join(f"{size:.0f}" for size in sizes),
        f"slope after warm-up (MiB per {step:,})": f"{slope:.2f}",
    }


def test_two_processes_go_on_after_either_is_killed(
    world: World, tmp_path: Path, figures: Figures
) -> None:
    generator = random.Random(23)
    took_s = []
    events = 0
    # A supervisor starts its flow again at most five times in ten minutes.
    for round_number in range(5):
        directory = tmp_path / f"cluster{round_number}"
        directory.mkdir()
        with cluster(world, directory) as flow:
            for kill in range(4):
                hour = events // 3000
                world.send(traffic(3000, seed=2300 + hour, mix=Mix(hour=hour)))
                events += 3000
                time.sleep(generator.random() * 2)
                flow.kill(kill % 2)
                began = time.monotonic()
                expected = world.oracle()
                found_s = time.monotonic() - began
                took_s.append(found_s + world.settle(flow, expected))
    world.check_dead_letters(world.oracle())
    figures |= {
        "events": events,
        "kills": len(took_s),
        "longest until whole and equal (s)": f"{max(took_s):.1f}",
    }


class Cluster:
    """Two processes of the flow, which a supervisor starts again."""

    def __init__(self, supervisor: Supervisor, directory: Path) -> None:
        self._supervisor, self._directory = supervisor, directory

    def kill(self, number: int) -> None:
        """Kill one of them."""
        os.kill(self._supervisor.pid(f"flow-{number}"), signal.SIGKILL)

    def check(self) -> None:
        """Start them again, if need be; fail if that does not help."""
        self._supervisor.check()

    def said(self) -> str:
        """Return what they have printed."""
        return "\n".join(log.read_text() for log in sorted(self._directory.glob("flow-*.log")))


@contextmanager
def cluster(world: World, directory: Path) -> Iterator[Cluster]:
    """Run the flow as a cluster of two processes."""
    stream = world.stream
    with Ports() as ports, Supervisor(directory) as supervisor:
        addresses = ";".join(f"{LOOPBACK}:{ports.free()}" for _ in range(2))
        command = [sys.executable, "-m", "bytewax.run", str(ROOT / "dataflows/sentiment.py")]

        def beats(number: int) -> Callable[[], bool]:
            def ready() -> bool:
                pid = supervisor.pid(f"flow-{number}")
                return bool(
                    stream.redis.exists(stream.keys.worker(f"{socket.gethostname()}-{pid}"))
                )

            return ready

        supervisor.start(
            *(
                Program(
                    name=f"flow-{number}",
                    argv=[*command, *world.options, "-i", str(number), "-a", addresses],
                    env={**stream.environment, "PYTHONPATH": str(ROOT)},
                    ready=beats(number),
                    group="flow",
                    final=frozenset({NO_USE}),
                )
                for number in range(2)
            )
        )
        yield Cluster(supervisor, directory)


def speed(world: World, flow: Running, events: int) -> float:
    """Return how many events a second are worked off, from the first look to the last event."""
    world.wait(flow, lambda: accounted(world) > 0)
    first, began = accounted(world), time.monotonic()
    world.wait(flow, lambda: accounted(world) >= events)
    assert first < events, "all events were done at the first look"
    return (events - first) / (time.monotonic() - began)


def accounted(world: World) -> int:
    """Return how many events are in panes or among the dead letters."""
    stream = world.stream
    return stream.total().events + stream.count(stream.settings.kafka.dlq_topic)


def send_evenly(world: World, events: list[Sent], seconds: float) -> None:
    """Send events over so many seconds, or for as long as it takes."""
    began = time.monotonic()
    slices = max(1, round(seconds / SLICE_S))
    for index in range(slices):
        world.send(events[index * len(events) // slices : (index + 1) * len(events) // slices])
        time.sleep(max(0.0, began + (index + 1) * SLICE_S - time.monotonic()))


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)


class Peak:
    """Watches the resident memory of a process."""

    def __init__(self, pid: int) -> None:
        self.mib = 0.0
        self._pid, self._ended = pid, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def end(self) -> None:
        """Stop watching."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            try:
                self.mib = max(self.mib, resident_mib(self._pid))
            except OSError:
                return

"""Throughput of the flow on the sample video: `python -m infra.bench`, or `make bench`.

Prints one JSON line per measurement and the ratios between them, all taken in one run: figures of
one machine say little on another, ratios carry over. The scorer alone is the yardstick, since
nothing can be faster than it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from itertools import cycle, islice
from pathlib import Path

from dataflows.settings import Settings, load_settings
from infra.frames import Item, Jpeg, video
from infra.interrupts import interruptible
from infra.ports import Ports
from infra.producers import Sender
from infra.stack import Stack
from infra.summary import Ledger
from infra.supervisor import Supervisor
from models.scorer import Content, Scorer
from models.wheels import fetch

__all__ = ["main"]

SOURCES = 8  # so that every partition, and with it every worker, gets its share
WARM_UP = 32
LIMIT_S = 600.0
TICK_S = 0.02


def main(arguments: list[str]) -> int:
    """Measure, print, and return 0."""
    parser = argparse.ArgumentParser(prog="python -m infra.bench", description=__doc__)
    parser.add_argument("--events", type=int, default=600, help="events of each measurement")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="processes")
    options = parser.parse_args(arguments)
    settings = load_settings()
    frames = list(video(fetch("sample_video"), Jpeg(quality=75)))
    items = list(islice(cycle(frames), options.events))

    alone = _scorer_rate(settings, items)
    _tell(what="scorer alone", events_per_s=round(alone, 1))
    for workers in options.workers:
        rate = _flow_rate(settings, items, workers)
        _tell(
            what=f"flow, {workers} worker process(es)",
            events_per_s=round(rate, 1),
            of_scorer=round(rate / alone, 3),
        )
    return 0


def _tell(**figures: str | float) -> None:
    print(json.dumps(figures), flush=True)


def _scorer_rate(settings: Settings, items: list[Item]) -> float:
    """Return events per second of the scorer with all cores, without Kafka and Redis."""
    scorer = Scorer.from_folder(
        settings.bundles, settings.detector, settings.limits, settings.threads
    )
    contents = [Content(image=item.value) for item in items]
    scorer.score(contents[:WARM_UP])
    begun = time.perf_counter()
    for start in range(0, len(contents), settings.batch):
        scorer.score(contents[start : start + settings.batch])
    return len(contents) / (time.perf_counter() - begun)


def _flow_rate(settings: Settings, items: list[Item], workers: int) -> float:
    """Return events per second of a flow that finds all events in the topic when it starts."""
    with ExitStack() as resources, interruptible():
        directory = Path(resources.enter_context(tempfile.TemporaryDirectory()))
        ports = resources.enter_context(Ports())
        supervisor = resources.enter_context(Supervisor(directory))
        stack = Stack(settings, supervisor, ports, directory, workers)
        stack.start_servers()
        ledger = resources.enter_context(closing(Ledger(stack.settings)))
        with Sender(stack.settings) as sender:
            for number, item in enumerate(items):
                sender.send(item, f"camera-{number % SOURCES}")
        stack.start_programs(ledger)
        return _drain_rate(ledger, supervisor, len(items))


def _drain_rate(ledger: Ledger, supervisor: Supervisor, events: int) -> float:
    """Return events per second between the first look after the warm-up and the last event."""
    first: tuple[float, int] | None = None
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        supervisor.check()
        scored, now = ledger.counts().scored, time.monotonic()
        if first is None and scored >= WARM_UP:
            first = now, scored
        if scored >= events:
            if first is None or scored == first[1]:
                raise SystemExit("error: too few events to measure; raise --events")
            return (scored - first[1]) / (now - first[0])
        time.sleep(TICK_S)
    raise SystemExit(f"error: {events} events were not scored within {LIMIT_S:g} s")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Cost of panes and rolling windows: `python -m infra.bench_panes`, or `make bench-panes`.

Prints one JSON line per measurement with its goal, and whether it is met; nothing fails when it is
not. Speeds are compared in one run, in rounds that alternate, and the median of the rounds counts:
figures of one machine say little on another, ratios carry over. Events come in order, carry one
face each, and are worked on in batches of 1,024.

- **windows**: events/s of our four rolling windows (10 s to 1 h) over those of Bytewax's own
  sliding windows (60 s, each second), fed from memory, one worker, 50 sources with 5 events/s of
  event time each.
- **sources**: time per event with 10,000 sources over that with 10, once with the same events/s of
  event time of all sources together (an event is then one of a hundred in its pane with 10 sources,
  and alone in it with 10,000), and once with the same of each source. Both are told of the panes
  alone, fed from memory, and of the real flow from Kafka to Redis.
- **kafka to redis**: events/s of the real flow, one process with its recovery store, over those of
  a loop that only consumes the topic and makes checked events of it, with the functions of the flow
  (headers, source, time, JSON, probabilities). Two more ratios are told: to a loop that gives the
  value to `json.loads` and looks at nothing, and to one that checks and also writes to a topic, as
  the flow does with its predictions, confirmed batch by batch. All are taken from the first look
  that finds 20 % of the events done to the last event, so start-up is left out. For the flow, done
  is what the panes of `*` in Redis count. Broker and Redis share the cores with all.
- **snapshots**: pickled bytes per touched source and epoch, an epoch being one second of event
  time; on average, and of the largest epoch. What the input writes is told as well: it names every
  source of its partition, touched or not.
- **store**: size of the recovery store after each third of a run over six hours of event time with
  a retention of one hour, so that most of the run only replaces what is there.
- **memory**: growth of the resident memory with 10,000 sources and an hour of panes, one every
  10 s, in a process of its own.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from statistics import mean, median

from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSource, run_main

from dataflows.events import Event
from dataflows.settings import Settings, load_settings
from infra.pane_kafka import flow_rates, kafka_rates
from infra.pane_load import THEIR_LENGTH_S, Load, Tally, our_flow, their_flow
from infra.pane_state import Epochs, memory

__all__ = ["main"]

BATCH = 1024  # the largest that the settings allow, as one would set it for these events
EPOCH = timedelta(seconds=1)
FEW, SOME, MANY = Load(10, 1000), Load(50, 250), Load(10_000, 1000)
SPARSE = Load(10, 1)  # as many events of each source as in MANY
HOUR_S = 3600
GROWTH = Load(50, 5)
GROWTH_EPOCH = timedelta(seconds=0.1)


def main(arguments: list[str]) -> int:
    """Measure, print, and return 0."""
    what = {
        "windows": windows,
        "sources": sources,
        "kafka": kafka_to_redis,
        "snapshots": snapshots,
        "store": store,
        "memory": resident,
    }
    parser = argparse.ArgumentParser(
        prog="python -m infra.bench_panes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", choices=what, nargs="+", default=list(what))
    parser.add_argument("--rounds", type=int, default=3, help="of each comparison of speeds")
    parser.add_argument("--scale", type=float, default=1.0, help="more or fewer events")
    options = parser.parse_args(arguments)
    settings = load_settings().model_copy(update={"batch": BATCH})
    for name in options.only:
        what[name](settings, options.rounds, options.scale)
    return 0


def tell(what: str, goal: str | None = None, met: bool | None = None, **figures: object) -> None:
    """Print one line; a figure without a goal is for information."""
    judged = {} if goal is None else {"goal": goal, "met": met}
    print(json.dumps({"what": what, **figures, **judged}), flush=True)


def windows(settings: Settings, rounds: int, scale: float) -> None:
    """Compare our rolling windows with Bytewax's sliding ones."""
    events = SOME.events(int(40_000 * scale))
    spent: dict[str, list[float]] = {"ours": [], "theirs": []}
    with _frozen():
        for _ in range(rounds):
            spent["ours"].append(_seconds(our_flow(settings, events), len(events)))
            theirs = their_flow(settings, events)
            spent["theirs"].append(_seconds(theirs, len(events) * THEIR_LENGTH_S))
    ours, theirs_s = median(spent["ours"]), median(spent["theirs"])
    ratio = theirs_s / ours
    tell(
        "windows: ours / Bytewax's own",
        goal=">= 10",
        met=ratio >= 10,
        ratio=round(ratio, 2),
        ours_events_per_s=round(len(events) / ours),
        theirs_events_per_s=round(len(events) / theirs_s),
    )


def sources(settings: Settings, rounds: int, scale: float) -> None:
    """Compare the cost of an event with many sources and with few."""
    loads = {load: load.events(int(60_000 * scale)) for load in (FEW, MANY, SPARSE)}
    spent: dict[Load, list[float]] = {load: [] for load in loads}
    with _frozen():
        for _ in range(rounds):
            for load, events in loads.items():
                spent[load].append(_seconds(our_flow(settings, events), len(events)))
    cost = {load: median(spent[load]) / len(loads[load]) * 1e6 for load in loads}
    _tell_costs("sources, panes alone", cost)
    rates = flow_rates(settings, (FEW, MANY, SPARSE), int(40_000 * scale), rounds)
    cost = {load: 1e6 / median(rate) for load, rate in zip((FEW, MANY, SPARSE), rates, strict=True)}
    _tell_costs("sources, Kafka to Redis", cost)


def _tell_costs(what: str, cost: Mapping[Load, float]) -> None:
    for other, how in (
        (FEW, f"{FEW.per_s} events/s of all sources together"),
        (SPARSE, f"{SPARSE.per_s / SPARSE.sources} events/s of each source"),
    ):
        ratio = cost[MANY] / cost[other]
        tell(
            f"{what}: cost per event with {MANY.sources} / with {other.sources}, both {how}",
            goal="<= 2",
            met=ratio <= 2,
            ratio=round(ratio, 2),
            us_per_event=[round(cost[load], 1) for load in (MANY, other)],
        )


def kafka_to_redis(settings: Settings, rounds: int, scale: float) -> None:
    """Compare the real flow with loops that do a part of its work."""
    rates = kafka_rates(settings, SOME, int(60_000 * scale), rounds)
    flow, bare, checked, answered = map(median, rates)
    tell(
        "kafka to redis: flow / consume and parse by the contract (headers, time, source, content)",
        goal=">= 0.6",
        met=flow >= 0.6 * checked,
        ratio=round(flow / checked, 3),
        flow_events_per_s=round(flow),
        loop_events_per_s=round(checked),
    )
    tell(
        "kafka to redis: flow / consume and json.loads of the value alone",
        ratio=round(flow / bare, 3),
        flow_events_per_s=round(flow),
        loop_events_per_s=round(bare),
    )
    tell(
        "kafka to redis: flow / consume, parse by the contract and write to a topic",
        ratio=round(flow / answered, 3),
        flow_events_per_s=round(flow),
        loop_events_per_s=round(answered),
    )


def snapshots(settings: Settings, rounds: int, scale: float) -> None:
    """Tell what an epoch writes."""
    for load, seconds in ((SOME, 180), (MANY, 60)):
        made = list(Epochs(settings).of(load.events(int(load.per_s * seconds * scale))))
        per_source = [epoch.state_bytes / epoch.touched for epoch in made]
        tell(
            f"snapshots: bytes per touched source and epoch, {load.sources} sources",
            goal="<= 4000",
            met=mean(per_source) <= 4000,
            bytes=round(mean(per_source)),
            largest_epoch=round(max(per_source)),
            touched=round(mean(epoch.touched for epoch in made)),
            input_bytes=round(mean(epoch.input_bytes for epoch in made)),
        )


def store(settings: Settings, rounds: int, scale: float) -> None:
    """Tell how the recovery store grows."""
    settings = settings.model_copy(update={"retention_s": HOUR_S})
    events = GROWTH.events(int(GROWTH.per_s * 6 * HOUR_S * scale))
    third = len(events) // 3
    stops: list[Event | TestingSource.EOF] = []
    for start in (0, third, 2 * third):
        stops += [*events[start : start + third], TestingSource.EOF()]
    sizes = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        init_db_dir(folder, 1)  # type: ignore[no-untyped-call]
        for _ in range(3):
            # Goes on where the last one has ended.
            run_main(  # type: ignore[no-untyped-call]
                our_flow(settings, stops)[0],
                epoch_interval=GROWTH_EPOCH,
                recovery_config=RecoveryConfig(folder, timedelta(0)),  # type: ignore[no-untyped-call]
            )
            sizes.append(sum(file.stat().st_size for file in folder.iterdir()))
    tell(
        f"store: kB after each third, {GROWTH.sources} sources",
        kB=[round(size / 1000) for size in sizes],
    )


def resident(settings: Settings, rounds: int, scale: float) -> None:
    """Tell what the state takes in memory."""
    fresh = multiprocessing.get_context("spawn")
    number = int(MANY.sources * scale)
    with ProcessPoolExecutor(max_workers=1, mp_context=fresh) as pool:
        grown = pool.submit(memory, settings, number, HOUR_S).result()
    mib = 2**20 / grown.panes
    tell(
        f"memory: {number} sources, 1 h, {grown.panes} panes",
        MiB={"open": grown.open_mib, "packed": grown.packed_mib, "rolling": grown.rolling_mib},
        packed_bytes_per_pane=round(grown.packed_mib * mib),
        rolling_bytes_per_pane=round(grown.rolling_mib * mib),
    )


@contextmanager
def _frozen() -> Iterator[None]:
    """Keep the garbage collector off the events, which a real flow does not have in memory."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _seconds(flow: tuple[Dataflow, Tally], expected: int) -> float:
    """Run a flow, and return how long it took."""
    dataflow, tally = flow
    begun = time.perf_counter()
    run_main(dataflow, epoch_interval=EPOCH)  # type: ignore[no-untyped-call]
    spent = time.perf_counter() - begun
    if tally.sum != expected:
        raise SystemExit(f"error: {dataflow.flow_id} counts {tally.sum} instead of {expected}")
    return spent


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What the step of drift writes and tells, whatever the batches, orders and crashes."""

from __future__ import annotations

import pickle
from collections import defaultdict
from collections.abc import Iterable
from random import Random

import pytest
from drift_parts import BARE, MODEL, draw, event
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows import worker
from dataflows.alerts import Alert
from dataflows.blocks import Order
from dataflows.drift import HOUR_S, Model, Seen, count, empty
from dataflows.drift_hours import Cell, DriftPartial, DriftState
from dataflows.drift_options import DriftOptions
from dataflows.drift_records import encode
from dataflows.drifting import DriftLogic, Told, drift_sums
from dataflows.events import Event
from dataflows.head import Head
from dataflows.keys import ALL_SOURCES
from dataflows.settings import Settings
from dataflows.telemetry import TELEMETRY

START_MS = 1_790_000_000_000 // (HOUR_S * 1000) * HOUR_S * 1000
LATENESS_MS = 900_000
AHEAD_MS = 5000
FEW = DriftOptions(min_observations=20)
SETTINGS = Settings(drift=FEW)
Written = dict[tuple[str, str], str]


@pytest.fixture(autouse=True)
def _fresh_worker() -> None:
    worker._by_thread.clear()


class Flow:
    """The step with a dictionary that plays Redis."""

    def __init__(self) -> None:
        self.logics: dict[str, DriftLogic] = {}
        self.redis: Written = {}
        self.alerts: dict[str, Alert] = {}

    def read(self, events: list[Event]) -> None:
        """Take one batch."""
        for source, partial in drift_sums(AHEAD_MS, events):
            self.give(source, partial)

    def order(self, source: str, order: Order) -> None:
        self.give(source, order)

    def give(self, source: str, value: DriftPartial | Order) -> None:
        logic = self.logics.setdefault(source, DriftLogic(SETTINGS, None))
        items, ended = logic.on_batch([value])
        self.write(items)
        if ended:
            del self.logics[source]

    def tell(self) -> None:
        """Let time pass until everything is told."""
        for logic in self.logics.values():
            assert (logic.notify_at() is None) is not logic._hours.changed
            self.write(logic.on_notify()[0])
            assert logic.notify_at() is None

    def write(self, items: Iterable[Told | Alert]) -> None:
        for item in items:
            if isinstance(item, Alert):
                before = self.alerts.get(item.id)
                # Told again after a crash, and otherwise only ended. What is told of all sources
                # depends on the order between them, and a crash cuts other batches.
                assert (
                    item.source == ALL_SOURCES
                    or before is None
                    or before._replace(ended=None) == item._replace(ended=None)
                )
                self.alerts[item.id] = item
                continue
            for cell, (model, sums) in item.cells.items():
                name, value = encode(cell, model, sums, FEW)
                self.redis[item.source, name] = value

    def snapshot(self) -> bytes:
        return pickle.dumps({key: logic.snapshot() for key, logic in self.logics.items()})

    def crash(self, saved: bytes) -> None:
        """Go back to a snapshot; what is in Redis and what was told stays."""
        states = pickle.loads(saved)  # noqa: S301
        self.logics = {key: DriftLogic(SETTINGS, state) for key, state in states.items()}


def plain(events: list[Event]) -> Written:
    """Count one event after the other."""
    found: dict[tuple[str, Cell], list[int]] = {}
    models: dict[Cell, Model] = {}
    for one in events:
        hour = one.envelope.time_ms // 1000 // HOUR_S * HOUR_S
        for seen in one.seen:
            cell = hour, seen.model.kind, seen.model.version
            models[cell] = seen.model
            for source in (one.envelope.source, "*"):
                count(found.setdefault((source, cell), empty(seen.model)), seen)
    return {
        (source, name): value
        for (source, cell), sums in found.items()
        for name, value in [encode(cell, models[cell], tuple(sums), FEW)]
    }


def stream(seed: int, steps: list[tuple[str, int, int]]) -> list[Event]:
    """Return events of one partition: source, how far the clock goes on and how far behind (s)."""
    random, clock_ms, events = Random(seed), START_MS, []
    newest: dict[str, int] = defaultdict(int)
    for source, on_s, behind_s in steps:
        clock_ms += on_s * 1000
        time_ms = clock_ms - behind_s * 1000
        if newest[source] - time_ms > LATENESS_MS:
            continue  # the flow calls it late
        newest[source] = max(newest[source], time_ms)
        seen = [draw(random, random.choice([MODEL, BARE])) for _ in range(random.randrange(30))]
        events.append(event(source, time_ms, *seen))
    return events


steps = st.lists(
    st.tuples(
        st.sampled_from(["a", "b:c"]),
        st.sampled_from([0, 60, 600, 3000, 9000]),
        st.sampled_from([0, 0, 60, 850, 1700]),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), steps, st.integers(0, 2**32))
def test_any_batches_and_crashes_give_the_plain_counts(
    seed: int, steps: list[tuple[str, int, int]], cuts: int
) -> None:
    events, random = stream(seed, steps), Random(cuts)
    flow, at = Flow(), 0
    saved, saved_at = flow.snapshot(), 0
    once = Flow()
    for one in events:
        once.read([one])
    while at < len(events):
        size = random.randint(1, 5)
        flow.read(events[at : at + size])
        at += size
        match random.randrange(4):
            case 0:
                flow.tell()
            case 1:
                saved, saved_at = flow.snapshot(), at
            case 2:
                flow.crash(saved)
                at = saved_at
    flow.tell()
    assert flow.redis == plain(events)
    # Of all sources together, the order between the sources may tell other alerts.
    for source in ("a", "b:c"):
        assert {k: v for k, v in flow.alerts.items() if v.source == source} == {
            k: v for k, v in once.alerts.items() if v.source == source
        }


def fill(
    flow: Flow, random: Random, hour: int, n: int, away: float = 0.0, model: Model = MODEL
) -> None:
    """Put so many observations into an hour of one source."""
    for index in range(n):
        time_ms = START_MS + hour * HOUR_S * 1000 + index * HOUR_S * 1000 // n
        flow.read([event("a", time_ms, draw(random, model, away))])


def test_a_shift_is_told_when_its_hour_has_passed_and_ends_with_a_steady_one() -> None:
    flow, random = Flow(), Random(3)
    fill(flow, random, 0, 300)
    fill(flow, random, 1, 300, away=1.5)
    assert flow.alerts == {}
    fill(flow, random, 2, 300)
    begun = START_MS // 1000 + HOUR_S
    (alert,) = [alert for alert in flow.alerts.values() if alert.source == "a"]
    assert (alert.rule, alert.started, alert.ended) == ("embedding_drift", begun, None)
    assert alert.value > alert.baseline == FEW.embedding
    fill(flow, random, 3, 300)
    (alert,) = [alert for alert in flow.alerts.values() if alert.source == "a"]
    assert alert.ended == begun + HOUR_S
    assert {alert.source for alert in flow.alerts.values()} == {"a", "*"}


def test_an_alert_ends_where_nothing_is_left_to_hold_an_hour_against() -> None:
    flow, random = Flow(), Random(9)
    fill(flow, random, 0, 50, away=2)
    fill(flow, random, 1, 5)  # too few to end it
    fill(flow, random, 2, 5, model=BARE)
    assert {alert.ended for alert in flow.alerts.values()} == {None}
    fill(flow, random, 3, 5, model=BARE)
    ended = {alert.source: alert.ended for alert in flow.alerts.values()}
    assert ended == dict.fromkeys(("a", "*"), START_MS // 1000 + 2 * HOUR_S)


def test_a_stationary_stream_is_left_in_peace() -> None:
    flow, random = Flow(), Random(4)
    for hour in range(48):
        fill(flow, random, hour, 200)
    assert flow.alerts == {}


def test_hours_that_nobody_can_change_leave_the_state() -> None:
    flow, random, counted = Flow(), Random(5), TELEMETRY.expired.value
    for hour in range(80):
        fill(flow, random, hour, 3)
        flow.tell()
    kept = {cell[0] for cell in flow.logics["a"].snapshot().sums}
    assert len(kept) == SETTINGS.kept_s // HOUR_S + 1
    flow.tell()
    before = dict(flow.redis)
    flow.read([event("a", START_MS, draw(random))])
    flow.tell()
    assert flow.redis == before
    assert TELEMETRY.expired.value == counted  # by the step of panes alone


def test_an_idle_source_leaves_the_state_and_ends_its_alerts() -> None:
    flow, random = Flow(), Random(6)
    fill(flow, random, 0, 50, away=2)
    fill(flow, random, 1, 49, away=2)
    flow.tell()
    second = START_MS // 1000 + HOUR_S
    flow.read([event("a", (second + 3540) * 1000, draw(random, away=2))])  # is not told yet
    flow.order("a", Order.LEAVE)  # not idle yet
    assert len(flow.logics["a"].snapshot().sums) == 2
    worker.this_worker().head = Head(START_MS + (SETTINGS.idle_s + 5 * HOUR_S) * 1000)
    flow.order("a", Order.LEAVE)
    left = DriftState("a", (second + 3540) * 1000, second + HOUR_S, second)
    assert flow.logics["a"].snapshot() == left
    assert {a.ended for a in flow.alerts.values() if a.source == "a"} == {second + HOUR_S}
    flow.order("a", Order.TELL)
    assert worker.this_worker().asked == 0
    # It comes back: in an hour of which only Redis still knows, and then in a new one.
    fill(flow, random, 1, 50)
    flow.read([event("a", (second + HOUR_S) * 1000, draw(random))])
    flow.tell()
    assert '"n":50,' in flow.redis["a", f"{second}:text:1.0.0"]
    assert '"n":1,' in flow.redis["a", f"{second + HOUR_S}:text:1.0.0"]


@pytest.mark.parametrize("order", [Order.TELL, Order.RESTORE, Order.LEAVE])
def test_a_source_of_which_nothing_was_scored_here_has_no_state(order: Order) -> None:
    flow = Flow()
    flow.order("edge", order)
    assert flow.logics == {}


def test_a_redis_that_has_lost_everything_gets_it_again() -> None:
    flow, random = Flow(), Random(7)
    fill(flow, random, 0, 50, away=2)
    fill(flow, random, 1, 50)
    fill(flow, random, 2, 50)
    flow.tell()
    redis, alerts = dict(flow.redis), {k: a for k, a in flow.alerts.items() if a.ended is None}
    flow.redis.clear()
    flow.alerts.clear()
    for source in flow.logics:
        flow.order(source, Order.TELL)
    assert worker.this_worker().asked == len(flow.logics)
    flow.tell()
    assert (flow.redis, flow.alerts) == (redis, alerts)


def test_what_was_scored_elsewhere_counts_for_nothing() -> None:
    assert [*drift_sums(AHEAD_MS, [event("a", START_MS)])] == []


def test_versions_are_kept_apart() -> None:
    flow, random = Flow(), Random(8)
    seen: list[Seen] = [draw(random), draw(random, BARE)]
    flow.read([event("a", START_MS, *seen)])
    flow.tell()
    names = {name for source, name in flow.redis if source == "a"}
    assert names == {f"{START_MS // 1000}:text:{version}" for version in ("1.0.0", "0.9.0")}

"""The state of the steps without Bytewax: what its snapshots and the state itself take."""

from __future__ import annotations

import os
import pickle
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, Final

from bytewax.operators import StatefulBatchLogic

from dataflows import steps
from dataflows.blocks import MINUTE_S, Delta, Partial, Restore
from dataflows.events import Event
from dataflows.lateness import Lateness
from dataflows.panes import EMPTY, Pane
from dataflows.settings import Settings
from infra.embedded import resident_mib
from infra.pane_load import START_S, probabilities
from models.observation import observe_face

__all__ = ["Epochs", "Memory", "Snapshot", "memory"]

PANE_EVERY_S: Final = 10


@dataclass(frozen=True)
class Snapshot:
    """What one epoch writes to the recovery store.

    Attributes:
        touched: sources, `*` among them, that had an event in it.
        state_bytes: pickled snapshots of the keys of those sources.
        input_bytes: pickled snapshots of the input, which knows all sources of its partition.
    """

    touched: int
    state_bytes: int
    input_bytes: int


class Epochs:
    """The steps without Bytewax: takes one epoch after another and makes its snapshots."""

    def __init__(self, settings: Settings) -> None:
        self._late = Lateness(settings.lateness_s * 1000, settings.kept_s * 1000)
        self._ahead_ms = settings.ahead_ms
        self._logics: list[dict[str, StatefulBatchLogic[Any, Any, Any]]] = [{}, {}, {}]
        self._builders: list[Callable[[], StatefulBatchLogic[Any, Any, Any]]] = [
            lambda: steps.OpenMinutesLogic(settings.kept_s, settings.idle_s, None),
            lambda: steps.MinuteLogic(None),
            lambda: steps.RollingLogic(settings.windows, settings.kept_s, None),
        ]

    def of(self, events: list[Event]) -> Iterator[Snapshot]:
        """Yield what each second of event time writes, when it is one epoch and one batch."""
        for _, group in groupby(events, lambda event: event.envelope.time_ms // 1000):
            yield self._epoch(list(group))

    def _epoch(self, events: list[Event]) -> Snapshot:
        for event in events:
            self._late.is_late(event.envelope.source, event.envelope.time_ms)
        sums = list(steps.partial_sums(self._ahead_ms, events))
        told, opened = self._step(0, sums)
        changes, packed = self._step(1, map(steps.by_minute, told))
        _, rolled = self._step(2, map(steps.by_source, changes))
        return Snapshot(len(sums), opened + packed + rolled, _pickled(self._late.snapshot()))

    def _step(
        self, index: int, items: Iterable[tuple[str, Any]]
    ) -> tuple[list[tuple[str, Any]], int]:
        """Give each key of a step its items; return what comes out, and the size of snapshots."""
        by_key: dict[str, list[Any]] = defaultdict(list)
        for key, value in items:
            by_key[key].append(value)
        logics, out, size = self._logics[index], [], 0
        for key, values in by_key.items():
            logic = logics.get(key) or logics.setdefault(key, self._builders[index]())
            results, over = logic.on_batch(values)
            out += [(key, result) for result in results]
            if over:
                del logics[key]
            else:
                size += _pickled(logic.snapshot())
        return out, size


def _pickled(snapshot: Any) -> int:  # noqa: ANN401
    return len(pickle.dumps(snapshot))


@dataclass(frozen=True)
class Memory:
    """Growth of the resident memory (MiB), one part of the state after the other.

    Attributes:
        panes: how many 1 s panes there are.
        open_mib: which minutes each source has.
        packed_mib: the minutes.
        rolling_mib: the rolling windows.
    """

    panes: int
    open_mib: int
    packed_mib: int
    rolling_mib: int


def memory(settings: Settings, sources: int, span_s: int) -> Memory:
    """Build the state of so many sources with a pane every 10 s, and return what it takes.

    Call it in a process of its own. The rolling windows are filled as they are after a restart.
    """
    panes = [Pane.of([observe_face(row)]) for row in probabilities()]
    starts = range(START_S, START_S + span_s, MINUTE_S)
    used = [resident_mib(os.getpid())]
    opens = [steps.OpenMinutesLogic(settings.kept_s, settings.idle_s, None) for _ in range(sources)]
    for number, logic in enumerate(opens):
        minutes = dict.fromkeys(starts, EMPTY)
        logic.on_batch([Partial(f"camera-{number:05}", minutes, starts[-1] * 1000)])
    used.append(resident_mib(os.getpid()))
    packed = [[_minute(panes, start, number) for start in starts] for number in range(sources)]
    used.append(resident_mib(os.getpid()))
    rolling = [
        steps.RollingLogic(settings.windows, settings.kept_s, resumed=True) for _ in range(sources)
    ]
    for windows, logics in zip(rolling, packed, strict=True):
        for minute in logics:
            windows.on_batch(list(minute.on_batch([Restore(len(starts))])[0]))
    used.append(resident_mib(os.getpid()))
    parts = [after - before for before, after in pairwise(used)]
    return Memory(sources * span_s // PANE_EVERY_S, *parts)


def _minute(panes: list[Pane], start: int, number: int) -> steps.MinuteLogic:
    logic = steps.MinuteLogic(None)
    buckets = range(start, start + MINUTE_S, PANE_EVERY_S)
    filled = {bucket: panes[(bucket + number) % len(panes)] for bucket in buckets}
    logic.on_batch([Delta(filled, buckets[-1] * 1000, [])])
    logic.snapshot()  # packs it, as the end of an epoch does
    return logic

"""The hours of one source: their exact sums, which of them have drifted, and what is told of that.

Pure: partial sums in, absolute sums and alerts out, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from dataflows.alerts import DRIFT_RULES, Alert, Rule
from dataflows.drift import HOUR_S, Model, Sums, measure, merge
from dataflows.drift_options import DriftOptions
from dataflows.head import NO_HEAD, Head

__all__ = ["Cell", "DriftPartial", "DriftState", "Hours"]

Cell = tuple[int, str, str]  # hour (epoch s), kind and version


@dataclass(slots=True)
class DriftPartial:
    """Sums of a batch of events of one source.

    Attributes:
        source: of all of them.
        sums: by cell.
        models: by kind and version; those of the sums.
        newest_ms: newest event time in the batch, epoch milliseconds.
        head: of the sources in it; only in the partial of all sources.
    """

    source: str
    sums: dict[Cell, Sums] = field(default_factory=dict)
    models: dict[tuple[str, str], Model] = field(default_factory=dict)
    newest_ms: int = 0
    head: Head | None = None


class DriftState(NamedTuple):
    """What a snapshot holds of a source; plain values.

    Attributes:
        source: which; empty before the first event.
        newest_ms: newest event time, or the head of all sources, epoch ms.
        floor: hours (epoch s) before this one have left the state.
        judged: the newest hour that was judged.
        sums: by cell.
        models: by kind and version; those of the sums.
        changed: cells that have changed since they were told last.
        firing: alerts that last.
        head: of all sources, if it is of them.
    """

    source: str = ""
    newest_ms: int = 0
    floor: int = 0
    judged: int = -1
    sums: Mapping[Cell, Sums] = {}
    models: Mapping[tuple[str, str], Model] = {}
    changed: frozenset[Cell] = frozenset()
    firing: tuple[Alert, ...] = ()
    head: Head = NO_HEAD


_NEW: Final = DriftState()


class Hours:
    """Adds up and judges the hours of one source.

    An hour is judged once, when the source has an event `lateness_s` after its end: from then on
    nothing can change it but a partition that is further behind. It leaves the state when its end
    is `kept_s` behind the newest event. What comes for it after that is not counted; panes do not
    count it either, and their step reports it.
    """

    def __init__(
        self, lateness_s: int, kept_s: int, options: DriftOptions, state: DriftState | None = None
    ) -> None:
        """Start empty, or from what `snapshot` returned."""
        state = state or _NEW
        self._lateness_s, self._kept_s, self._options = lateness_s, kept_s, options
        self.source, self.newest_ms = state.source, state.newest_ms
        self._floor, self._judged, self._head = state.floor, state.judged, state.head
        self._sums, self._models = dict(state.sums), dict(state.models)
        self._changed = set(state.changed)
        self._firing: dict[str, Alert] = {alert.rule: alert for alert in state.firing}

    def snapshot(self) -> DriftState:
        """Return what has to be remembered."""
        return DriftState(
            self.source,
            self.newest_ms,
            self._floor,
            self._judged,
            dict(self._sums),
            dict(self._models),
            frozenset(self._changed),
            self.firing,
            self._head,
        )

    @property
    def firing(self) -> tuple[Alert, ...]:
        """Alerts that last."""
        return tuple(self._firing.values())

    @property
    def changed(self) -> bool:
        """Whether there is something to take."""
        return bool(self._changed)

    def add(self, partial: DriftPartial) -> list[Alert]:
        """Add partial sums but those of hours that have left; return what there is to tell."""
        self.source = partial.source
        for cell, sums in partial.sums.items():
            if cell[0] < self._floor:
                continue
            old, model = self._sums.get(cell), partial.models[cell[1:]]
            self._sums[cell] = sums if old is None else merge(model, old, sums)
            self._models[cell[1:]] = model
            self._changed.add(cell)
        before = self._settled_s()
        if partial.head is None:
            self.newest_ms = max(self.newest_ms, partial.newest_ms)
        else:
            self._head = partial.head.merge(self._head)
            self.newest_ms = self._head.time_ms
        settled_s = self._settled_s()
        if before // HOUR_S == settled_s // HOUR_S:
            return []
        told = self._judge(settled_s)
        self._close(self.newest_ms // 1000 - self._kept_s)
        return told

    def _settled_s(self) -> int:
        """Return the second (epoch s) until which no event is accepted any more."""
        return self.newest_ms // 1000 - self._lateness_s

    def take(self) -> dict[Cell, tuple[Model, Sums]]:
        """Return the absolute sums that have changed since the last call, with their models."""
        taken = {cell: (self._models[cell[1:]], self._sums[cell]) for cell in sorted(self._changed)}
        self._changed.clear()
        return taken

    def touch(self) -> bool:
        """Have everything taken once more; whether there is anything."""
        self._changed |= self._sums.keys()
        return bool(self._changed)

    def leave(self) -> list[Alert]:
        """Let all hours go, which have been taken before; return the ends of alerts.

        What the source sends later counts if it is of a later hour.
        """
        end = self.newest_ms // 1000 // HOUR_S * HOUR_S + HOUR_S
        told = self._judge(end)
        self._close(end)
        return told + self._end_all(end)

    def _close(self, until: int) -> None:
        """Let the hours go that end until a second (epoch s)."""
        floor = (until // HOUR_S) * HOUR_S
        if floor <= self._floor:
            return
        self._floor = floor
        gone = [cell for cell in self._sums if cell[0] < floor and cell not in self._changed]
        for cell in gone:
            del self._sums[cell]
        if gone:
            used = {cell[1:] for cell in self._sums}
            self._models = {key: model for key, model in self._models.items() if key in used}

    def _judge(self, until: int) -> list[Alert]:
        """Judge the hours that end until a second (epoch s)."""
        told: list[Alert] = []
        hours = {cell[0] for cell in self._sums if self._judged < cell[0] <= until - HOUR_S}
        for hour in sorted(hours):
            self._judged = hour
            cells = [cell for cell in self._sums if cell[0] == hour]
            if all(self._models[cell[1:]].baseline is None for cell in cells):
                told += self._end_all(hour)  # nothing that could end them may ever come
            found = self._worst(cells)
            for rule, (value, limit) in found.items():
                if value > limit and rule not in self._firing:
                    value, limit = round(value, 4), round(limit, 4)
                    alert = Alert(rule, self.source, hour, None, value, limit)
                    self._firing[rule] = alert
                    told.append(alert)
                elif value <= limit and rule in self._firing:
                    told.append(self._end(rule, hour))
        return told

    def _worst(self, cells: Iterable[Cell]) -> dict[Rule, tuple[float, float]]:
        """Return the largest of each figure over all models, and its limit."""
        options = self._options
        limits = options.mix, options.confidence, options.embedding
        worst: dict[Rule, tuple[float, float]] = {}
        for cell in cells:
            model = self._models[cell[1:]]
            figures = measure(model, self._sums[cell], options.min_observations)
            for rule, value, limit in zip(DRIFT_RULES, figures[1:], limits, strict=True):
                if value is not None:
                    worst[rule] = max(value, worst.get(rule, (value, limit))[0]), limit
        return worst

    def _end_all(self, ended: int) -> list[Alert]:
        return [self._end(rule, ended) for rule in tuple(self._firing)]

    def _end(self, rule: str, ended: int) -> Alert:
        return self._firing.pop(rule)._replace(ended=ended)

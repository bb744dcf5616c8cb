"""The steps of the flow: thin adapters between Bytewax and the pure parts."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, cast

from bytewax.operators import StatefulBatchLogic

from dataflows.blocks import (
    Change,
    Delta,
    Leave,
    Minute,
    OpenMinutes,
    Order,
    Partial,
    Restore,
    horizon_s,
)
from dataflows.content import read_content
from dataflows.contract import Envelope, Rejection, format_time
from dataflows.keys import ALL_SOURCES
from dataflows.panes import Pane
from dataflows.rejections import RejectionLimits
from dataflows.rolling import Rolling, Update
from dataflows.source import Arrival
from dataflows.stopping import STOPPING
from dataflows.telemetry import TELEMETRY
from dataflows.worker import this_worker
from models.errors import ContentError
from models.prediction import prediction
from models.scorer import Content, Scored, Scorer

__all__ = [
    "Event",
    "MinuteLogic",
    "OpenMinutesLogic",
    "RollingLogic",
    "Score",
    "accepted",
    "by_minute",
    "by_source",
    "partial_sums",
    "rejected",
]

_log = logging.getLogger(__name__)

# `json.dumps` would make an encoder for every event.
_to_json = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
Told = Delta | Leave | Restore | Order  # what a source tells its minutes
SEPARATOR = "|"  # of source and slot in a key; the slot has none, so it splits from the end


@dataclass(frozen=True, slots=True)
class Event:
    """An accepted event with its result.

    Attributes:
        envelope: identity, source and time.
        scored: the result.
        prediction: the same as public JSON, with the source and the time.
    """

    envelope: Envelope
    scored: Scored
    prediction: str


class Score:
    """Reads and scores events in pieces of a bounded size."""

    def __init__(self, scorer: Scorer, batch: int, limits: RejectionLimits) -> None:
        self._scorer = scorer
        self._batch = batch
        self._limits = limits

    def __call__(self, arrivals: list[Arrival]) -> Iterable[Event | Rejection]:
        """Return one result per arrival, in order."""
        for start in range(0, len(arrivals), self._batch):
            yield from self._score(arrivals[start : start + self._batch])

    def _score(self, arrivals: Sequence[Arrival]) -> Iterable[Event | Rejection]:
        contents: list[Content] = []
        results: list[Event | Rejection | None] = []
        waiting: list[tuple[int, Envelope]] = []
        for index, arrival in enumerate(arrivals):
            results.append(arrival if isinstance(arrival, Rejection) else None)
            if isinstance(arrival, Envelope):
                try:
                    contents.append(read_content(arrival.value, arrival.content_type))
                    waiting.append((index, arrival))
                except ContentError as error:
                    results[index] = Rejection(arrival.record, error.reason, str(error))
        scores = self._scores(contents)
        for (index, envelope), score in zip(waiting, scores, strict=True):
            if isinstance(score, ContentError):
                results[index] = Rejection(envelope.record, score.reason, str(score))
            else:
                text = _prediction(envelope, score, self._scorer.versions)
                results[index] = Event(envelope, score, text)
        done = [result for result in results if result is not None]
        reasons = [result.reason if isinstance(result, Rejection) else None for result in done]
        TELEMETRY.count_rejected([reason for reason in reasons if reason is not None])
        if too_many := self._limits.count(reasons):
            STOPPING.request(too_many)
        return done

    def _scores(self, contents: Sequence[Content]) -> Sequence[Scored | ContentError]:
        """Score a batch; if that fails, each content alone, so that one does not harm the others.

        What the models cannot digest may be anything, so any exception is taken for its fault. If
        the models are at fault, everything fails, and the limits of rejections stop the flow.
        """
        try:
            return self._scorer.score(contents)
        except Exception:
            _log.exception("scoring %d events failed; each is tried alone", len(contents))
            return [self._alone(content) for content in contents]

    def _alone(self, content: Content) -> Scored | ContentError:
        try:
            return self._scorer.score([content])[0]
        except Exception as error:
            return ContentError("scoring_failed", f"{type(error).__name__}: {error}")


def _prediction(envelope: Envelope, scored: Scored, versions: Mapping[str, str | None]) -> str:
    document = prediction(envelope.id, scored, versions)
    document = {
        "id": document.pop("id"),
        "source": envelope.source,
        "time": format_time(envelope.time_ms),
        **document,
    }
    return _to_json(document)


def accepted(results: list[Event | Rejection]) -> list[Event]:
    """Keep events alone."""
    return [result for result in results if isinstance(result, Event)]


def rejected(results: list[Event | Rejection]) -> list[Rejection]:
    """Keep rejections alone."""
    return [result for result in results if isinstance(result, Rejection)]


def partial_sums(events: list[Event]) -> Iterable[tuple[str, Partial]]:
    """Sum a batch by source, and over all sources, so that little crosses to other workers."""
    sums: dict[str, Partial] = {}
    for event in events:
        envelope = event.envelope
        pane = Pane.of(event.scored.observations)
        partial = sums.setdefault(envelope.source, Partial(envelope.source))
        partial.add(envelope.time_ms, pane, envelope.record.timestamp_ms)
    if not events:
        return ()
    everything = Partial(ALL_SOURCES)
    for partial in sums.values():
        everything.include(partial)
    TELEMETRY.observations.increment(sum(pane.n for pane in everything.panes.values()))
    worker = this_worker()
    worker.head_ms = max(worker.head_ms, everything.newest_ms)
    return [(ALL_SOURCES, everything), *sums.items()]


class OpenMinutesLogic(StatefulBatchLogic[Partial | Order, tuple[int, Told], Any]):
    """By source: cuts partial sums by minute, and gives minutes their orders."""

    def __init__(self, kept_s: int, idle_s: int, state: Any | None) -> None:  # noqa: ANN401
        self._source: str | None
        self._source, minutes = state or (None, None)
        self._idle_s = idle_s
        self._minutes = OpenMinutes(kept_s, minutes)
        if self._source is not None:
            if self._minutes.newest_first():
                this_worker().sources[self._source] = self._minutes.newest_ms
            this_worker().resumed.add(self._source)

    def on_batch(self, values: list[Partial | Order]) -> tuple[Iterable[tuple[int, Told]], bool]:
        """Return deltas and orders by slot of the minute.

        A source that has left keeps its newest event time, so that what is older is noticed.
        """
        out: list[tuple[int, Told]] = []
        for value in values:
            if isinstance(value, Partial):
                out += self._split(value)
            elif value is not Order.LEAVE:
                out += self._order(value)
            elif self._idle():
                out += self._leave()
        out += ((slot, Order.CLOSE) for slot in self._minutes.close())
        return out, self.RETAIN

    def _order(self, order: Order) -> Iterable[tuple[int, Told]]:
        minutes = self._minutes.newest_first()
        if order is Order.TELL:
            this_worker().asked += len(minutes)
            return [(self._minutes.slot(minute), order) for minute in minutes]
        return [(self._minutes.slot(minute), Restore(len(minutes))) for minute in minutes]

    def _idle(self) -> bool:
        horizon = horizon_s(this_worker().head_ms, self._idle_s)
        return self._source is not None and self._minutes.newest_ms < horizon * 1000

    def _leave(self) -> list[tuple[int, Told]]:
        this_worker().sources.pop(self._source or "", None)
        slots = self._minutes.leave()
        return [(slot, Leave(len(slots))) for slot in slots]

    def _split(self, partial: Partial) -> Iterable[tuple[int, Delta]]:
        self._source = partial.source
        deltas, expired = self._minutes.split(partial)
        this_worker().sources[partial.source] = self._minutes.newest_ms
        if expired:
            TELEMETRY.expired.increment(expired)
            _log.error(
                "%d events lie further back than panes are kept and are not counted; raise "
                "SENTISTREAM_RETENTION_S",
                expired,
            )
        return [(self._minutes.slot(minute), delta) for minute, delta in deltas.items()]

    def snapshot(self) -> Any:  # noqa: ANN401
        """Return the source, its newest event time and the open minutes."""
        return self._source, self._minutes.snapshot()


def by_minute(item: tuple[str, tuple[int, Told]]) -> tuple[str, Told]:
    """Move the slot of the minute from the value into the key."""
    source, (slot, told) = item
    return f"{source}{SEPARATOR}{slot}", told


def by_source(item: tuple[str, Change]) -> tuple[str, Change]:
    """Take the slot out of the key again."""
    key, change = item
    return key.rpartition(SEPARATOR)[0], change


class MinuteLogic(StatefulBatchLogic[Told, Change, Any]):
    """By source and slot: the exact panes of a minute."""

    def __init__(self, state: Any | None) -> None:  # noqa: ANN401
        self._minute = Minute(state)

    def on_batch(self, values: list[Told]) -> tuple[Iterable[Change], bool]:
        """Add deltas, return absolute values; the state ends when the minute is closed.

        Another minute may begin in the slot right after that.
        """
        changes: list[Change] = []
        ended = False
        for is_delta, group in groupby(values, key=lambda value: isinstance(value, Delta)):
            if is_delta:
                changes.append(self._minute.add(cast("Iterator[Delta]", group)))
                ended = False
                continue
            for value in group:
                if isinstance(value, Restore):
                    changes.append(self._minute.restored(value.minutes))
                elif value is Order.TELL:
                    # One for each order, since each is counted until it is written.
                    changes.append(self._minute.whole())
                else:
                    if isinstance(value, Leave):
                        changes.append(self._minute.left(value.minutes))
                    self._minute, ended = Minute(), True
        return changes, ended

    def snapshot(self) -> Any:  # noqa: ANN401
        """Return the packed panes."""
        return self._minute.snapshot()


class RollingLogic(StatefulBatchLogic[Change, Update, bool]):
    """By source: the rolling windows. What was in them comes back from the minutes."""

    def __init__(self, windows: Sequence[int], resumed: bool | None) -> None:
        self._rolling = Rolling(windows, resumed=bool(resumed))

    def on_batch(self, values: list[Change]) -> tuple[Iterable[Update], bool]:
        """Return one update for all the changes; the state ends when the source has left."""
        update = self._rolling.apply(values)
        return ([] if update is None else [update]), self._rolling.left

    def snapshot(self) -> bool:
        """Return that there is something to come back: the minutes hold it all."""
        return True

"""Alerts of one source: what is worth a look, judged second by second of its own event time.

Pure and deterministic: panes in, alerts out, no clock. A second is judged once, when the source has
an event `settle_s` seconds newer; what comes later corrects panes, and no alert that was told.

The baseline is an exponentially weighted moving average (Roberts, Technometrics 1(3), 1959) of the
means of single seconds. Seconds are not evenly spaced, so the weight of a new one is
1 - exp(-dt / baseline_s) for one that is dt after the last.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple

from dataflows.alert_options import FORGET_S, AlertOptions
from dataflows.keys import ALL_SOURCES
from dataflows.panes import Pane

__all__ = ["DRIFT_RULES", "RULES", "Alert", "AlertState", "Rule", "Watch"]

Rule = Literal[
    "valence_shift",
    "negative_share",
    "confidence_drop",
    "silent",
    "mix_drift",
    "confidence_drift",
    "embedding_drift",
]
RULES: Final[tuple[Rule, ...]] = ("valence_shift", "negative_share", "confidence_drop")
DRIFT_RULES: Final[tuple[Rule, ...]] = ("mix_drift", "confidence_drift", "embedding_drift")
WARM_UP: Final = 5  # a baseline is of use after so many times `min_observations`

# Of a second or a window: n, sum and sum of squares of valence, sum of confidence, negative ones.
Sums = tuple[int, int, int, int, int]
_NONE: Final[Sums] = (0, 0, 0, 0, 0)


class Alert(NamedTuple):
    """What is told of one alert: all of it, each time. The newest of an `id` counts.

    Attributes:
        rule: why.
        source: of what.
        started: first second (epoch s) of what is told; for a silence the last with an event.
        ended: the second that ended it, `None` while it lasts.
        value: what was found: mean valence, share, mean confidence, or seconds of silence.
        baseline: what it is held against: the moving average or the limit.
    """

    rule: Rule
    source: str
    started: int
    ended: int | None
    value: float
    baseline: float

    @property
    def id(self) -> str:
        """The same whenever it is told."""
        return f"{self.rule}/{self.source}/{self.started}"

    @property
    def state(self) -> str:
        """Whether it lasts."""
        return "firing" if self.ended is None else "resolved"


class AlertState(NamedTuple):
    """What a snapshot holds of a source; plain values."""

    judged: int
    newest: int
    pending: list[tuple[int, Sums]]
    window: list[tuple[int, Sums]]
    observed: tuple[int, int, float, float]  # last second, observations, the two averages
    streaks: dict[str, tuple[int, int]]  # rule → seconds it holds, or is over; first of them
    firing: list[Alert]


_NEW: Final = AlertState(0, 0, [], [], (0, 0, 0.0, 0.0), {}, [])


class Watch:
    """Judges the panes of one source."""

    def __init__(self, source: str, options: AlertOptions, state: AlertState | None = None) -> None:
        """Start empty, or from what `snapshot` returned."""
        state = state or _NEW
        self._source, self._options = source, options
        self._judged, self._newest = state.judged, state.newest
        self._pending: dict[int, Sums] = dict(state.pending)
        self._window: deque[tuple[int, Sums]] = deque(state.window)
        self._sums = _NONE
        for _, sums in self._window:
            self._sums = _add(self._sums, sums)
        self._observed_at, self._observed, self._valence, self._confidence = state.observed
        self._streaks = dict(state.streaks)
        self._firing: dict[str, Alert] = {alert.rule: alert for alert in state.firing}

    @property
    def firing(self) -> list[Alert]:
        """Alerts that last."""
        return list(self._firing.values())

    def snapshot(self) -> AlertState:
        """Return what has to be remembered."""
        observed = (self._observed_at, self._observed, self._valence, self._confidence)
        return AlertState(
            self._judged,
            self._newest,
            sorted(self._pending.items()),
            list(self._window),
            observed,
            dict(self._streaks),
            self.firing,
        )

    def apply(self, panes: Mapping[int, Pane], until: int | None = None) -> list[Alert]:
        """Take panes by second (epoch s), and return what there is to tell.

        Those after `until`, where the head of all sources is, wait until it gets there; of what is
        very far ahead of it nothing is kept.
        """
        for second, pane in panes.items():
            if second > self._judged and (until is None or second <= until + FORGET_S):
                self._pending[second] = (
                    pane.n,
                    pane.valence_sum,
                    pane.valence_sq_sum,
                    pane.confidence_sum,
                    pane.negative,
                )
                if until is None or second <= until:
                    self._newest = max(self._newest, second)
        if until is not None:
            self._newest = max(self._newest, until)
        return list(self._settle(self._newest - self._options.settle_s))

    def hear(self, head: int) -> list[Alert]:
        """Take the newest second (epoch s) of others, and return whether this one is silent."""
        limit = self._options.silent_s
        silence = head - self._options.settle_s - self._newest
        if not self._newest or not 0 < limit < silence or "silent" in self._firing:
            return []
        return [self._fire("silent", self._newest, float(limit), float(limit))]

    def forgotten(self, head: int) -> bool:
        """Whether the source is so far behind others (epoch s) that it begins anew."""
        return head - self._newest > FORGET_S

    def leave(self) -> list[Alert]:
        """End what lasts, since nothing of it is remembered."""
        until = self._newest + FORGET_S
        told = [*self._settle(self._newest), *self._pass_empty(until)]
        return [*told, *(self._end(rule, until) for rule in tuple(self._firing))]

    def _settle(self, until: int) -> Iterator[Alert]:
        """Judge everything up to a second."""
        for second in sorted(second for second in self._pending if second <= until):
            if self._judged:
                yield from self._break_silence(second)
                yield from self._pass_empty(second)
            if second - self._judged > FORGET_S:
                self._observed = self._observed_at = 0
            yield from self._judge(second, self._pending.pop(second))

    def _break_silence(self, second: int) -> Iterator[Alert]:
        """End the silence before a second with events; tell of it if nobody has."""
        last, limit = self._judged, self._options.silent_s
        silence = self._firing.get("silent")
        if silence is None and self._source != ALL_SOURCES and 0 < limit < second - last:
            silence = self._fire("silent", last, float(limit), float(limit))
            yield silence
        if silence is not None and second > silence.started:
            self._firing["silent"] = silence._replace(value=float(second - silence.started))
            yield self._end("silent", min(second, silence.started + FORGET_S))

    def _pass_empty(self, second: int) -> Iterator[Alert]:
        """Judge the empty seconds before one that has events."""
        # After that many nothing is left that could change.
        most = self._judged + self._options.window_s + self._options.hold_s
        for empty in range(self._judged + 1, min(second, most + 1)):
            if not self._streaks and not self._firing.keys() & set(RULES):
                break
            yield from self._judge(empty, _NONE)

    def _judge(self, second: int, sums: Sums) -> list[Alert]:
        options = self._options
        self._judged = second
        if sums[0]:
            self._window.append((second, sums))
            self._sums = _add(self._sums, sums)
        while self._window and self._window[0][0] <= second - options.window_s:
            self._sums = _subtract(self._sums, self._window.popleft()[1])
        told = []
        for rule in RULES:
            found = self._found(rule)
            if found is not None or rule in self._streaks or rule in self._firing:
                told += self._count(rule, second, found)
        self._learn(second, sums)
        return told

    def _found(self, rule: Rule) -> tuple[float, float] | None:
        """Return value and baseline if the rule holds for the window."""
        n, total, squares, confidence, negative = self._sums
        options = self._options
        if n < options.min_observations:
            return None
        if rule == "negative_share":
            share = negative / n
            return (share, options.negative_share) if share > options.negative_share else None
        if self._observed < WARM_UP * options.min_observations:
            return None
        if rule == "confidence_drop":
            mean = confidence / n / 1000
            drop = self._confidence - mean
            return (mean, self._confidence) if drop > options.confidence_drop else None
        mean = total / n / 1000
        variance = max(0, n * squares - total**2) / (n * (n - 1)) / 1e6
        shift = abs(mean - self._valence)
        enough = shift > options.sigmas * math.sqrt(variance / n) and shift > options.min_shift
        return (mean, self._valence) if enough else None

    def _count(self, rule: Rule, second: int, found: tuple[float, float] | None) -> list[Alert]:
        """Count seconds for which the rule holds, or, while it is told, is over."""
        counts = (found is None) if rule in self._firing else (found is not None)
        if not counts:
            self._streaks.pop(rule, None)
            return []
        held, first = self._streaks.get(rule, (0, second))
        if held + 1 < self._options.hold_s:
            self._streaks[rule] = held + 1, first
            return []
        self._streaks.pop(rule, None)
        if found is None:
            return [self._end(rule, first)]
        return [self._fire(rule, first, *found)]

    def _learn(self, second: int, sums: Sums) -> None:
        n = sums[0]
        if not n:
            return
        valence, confidence = sums[1] / n / 1000, sums[3] / n / 1000
        weight = 1.0
        if self._observed:
            weight = 1 - math.exp(-(second - self._observed_at) / self._options.baseline_s)
        self._valence += weight * (valence - self._valence)
        self._confidence += weight * (confidence - self._confidence)
        self._observed_at, self._observed = second, self._observed + n

    def _fire(self, rule: Rule, started: int, value: float, baseline: float) -> Alert:
        alert = Alert(rule, self._source, started, None, round(value, 4), round(baseline, 4))
        self._firing[rule] = alert
        return alert

    def _end(self, rule: str, ended: int) -> Alert:
        return self._firing.pop(rule)._replace(ended=ended)


def _add(left: Sums, right: Sums) -> Sums:
    a, b, c, d, e = left
    f, g, h, i, j = right
    return a + f, b + g, c + h, d + i, e + j


def _subtract(left: Sums, right: Sums) -> Sums:
    a, b, c, d, e = left
    f, g, h, i, j = right
    return a - f, b - g, c - h, d - i, e - j

"""From scored events to what Redis is to hold: the exact part of the flow."""

from __future__ import annotations

from functools import partial

import bytewax.operators as op
from bytewax.dataflow import Stream
from bytewax.operators import KeyedStream

from dataflows import steps
from dataflows.blocks import Order, Partial
from dataflows.events import Event
from dataflows.rolling import Update
from dataflows.settings import Settings

__all__ = ["updates"]


def updates(
    events: Stream[Event], orders: KeyedStream[Order], settings: Settings
) -> KeyedStream[Update]:
    """Return absolute values by source: sums by batch, then by minute, then by window."""
    sums = op.flat_map_batch("sum", events, partial(steps.partial_sums, settings.ahead_ms))
    given: KeyedStream[Partial | Order] = op.merge("sums-and-orders", sums, orders)
    opened = partial(steps.OpenMinutesLogic, settings.kept_s, settings.idle_s)
    told = op.stateful_batch("open", given, opened)
    minutes = op.map("by-minute", told, steps.by_minute)
    changes = op.stateful_batch("panes", minutes, steps.MinuteLogic)
    sources = op.map("by-source", changes, steps.by_source)
    windows = partial(steps.RollingLogic, settings.windows, settings.kept_s)
    return op.stateful_batch("rolling", sources, windows)

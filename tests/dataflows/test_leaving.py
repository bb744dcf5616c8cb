"""A source leaves when all of its minutes have spoken, those that were closed just now too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from exactness_parts import IDLE_S, KEPT_S, WINDOWS, Stage

from dataflows import steps, worker
from dataflows.blocks import Order, Partial
from dataflows.head import Head
from dataflows.panes import EMPTY
from dataflows.rolling import Update

SOURCE = "a"
LATER_S = 600  # so much that the first minute is closed by it


@pytest.fixture
def alone() -> Iterator[None]:
    """A worker that knows no source yet."""
    worker._by_thread.clear()
    yield
    worker._by_thread.clear()


def partial(source: str, at_s: int) -> Partial:
    pane = EMPTY._replace(n=1, events=1)
    return Partial(source, {at_s: pane}, newest_ms=at_s * 1000)


@pytest.mark.usefixtures("alone")
def test_a_closed_minute_that_is_overtaken_does_not_turn_rolling_windows_back() -> None:
    opened = Stage(lambda state: steps.OpenMinutesLogic(KEPT_S, IDLE_S, state))
    minutes = Stage(steps.MinuteLogic)
    windows = Stage(lambda state: steps.RollingLogic(WINDOWS, KEPT_S, state))
    written: list[Update] = []

    def give(*values: object) -> None:
        """Give to the source; its minutes answer, and nothing of that has arrived yet."""
        for item in opened.run(SOURCE, list(values)):
            key, told = steps.by_minute(item)
            for answer in minutes.run(key, [told]):
                windows.put(SOURCE, key, steps.by_source(answer)[1])

    def arrive(key: str) -> None:
        """Let the words of one minute arrive."""
        for _, update in windows.run(SOURCE, windows.inbox[SOURCE].pop(key)):
            written.append(update)

    give(partial(SOURCE, 0))
    first, second = f"{SOURCE}|0", f"{SOURCE}|1"
    arrive(first)
    give(Order.TELL)
    give(partial(SOURCE, LATER_S))  # closes the first minute, whose answer is on the way
    worker.this_worker().head = Head((LATER_S + IDLE_S + 120) * 1000)  # all others go on
    give(Order.LEAVE)
    arrive(second)
    assert SOURCE in windows.logics  # the first minute has not spoken
    arrive(first)
    assert SOURCE not in windows.logics
    assert [update.as_of for update in written] == [0, LATER_S, LATER_S]
    assert {update.rolling[max(WINDOWS)] for update in written[1:]} == {
        EMPTY._replace(n=1, events=1)
    }

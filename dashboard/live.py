"""The pages: one long callback each, which pushes what has changed over the page's websocket.

A push happens when something has changed or a second has passed (ages move), at most ten times
a second. Each begins by asking the page for its choices: a page that is slow to answer is sent
nothing more meanwhile, so nothing piles up.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from dash import Dash, Input, Output, State, ctx, set_props
from dash.exceptions import PreventUpdate

from dashboard.controls import Controls
from dashboard.detail import detail
from dashboard.drawing import Chart, Side, charts, sides
from dashboard.patches import figure_patch
from dashboard.pipeline import pipeline_props
from dashboard.store import Store
from dashboard.thumbnails import Thumbnails
from dashboard.view import Props, connection, texts

__all__ = ["Pages", "register"]

MIN_INTERVAL_S: Final = 0.1  # what comes in between is seen so much later at most
MAX_INTERVAL_S: Final = 1.0  # ages are shown in seconds
AHEAD_S: Final = 0.02  # of the line before the rest: the page takes about so long to draw it
ANSWER_S: Final = 10.0  # a hidden tab may be frozen; it is asked again after this


class Page:
    """One open page: its wake-up signal and what it was last sent."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self._props: Props = {}
        self._charts: dict[str, Chart] = {}
        self._drawn: tuple[object, ...] = ()

    async def push(self, store: Store, controls: Controls) -> None:
        """Send everything that differs from what the page has: the line first.

        The page draws what it has while the rest is computed, and other pages have their turn.
        """
        shown = sides(store, controls)
        if shown[0].series is None:
            # It is being loaded, or Redis is away; what is there stays until then.
            self._push_props(connection(store, time.monotonic()))
            return
        if controls.place == "pipeline":
            self._push_props(texts(store, shown, controls, time.monotonic(), time.time()))
            self._push_props(pipeline_props(store, controls, time.time()))
            return
        # Charts depend on nothing but the panes and the choices: no clock.
        drawn = (controls, store.version, store.vitals.newest, *map(_seen, shown))
        if drawn != self._drawn:
            self._drawn = drawn
            for component, chart in charts(store, controls, shown):
                self._push_chart(component, chart)
                await asyncio.sleep(AHEAD_S if component == "valence" else 0)
        self._push_props(texts(store, shown, controls, time.monotonic(), time.time()))

    def _push_props(self, props: Props) -> None:
        for (component, name), value in props.items():
            if self._props.get((component, name)) != value:
                set_props(component, {name: value})
        self._props |= props

    def _push_chart(self, component: str, chart: Chart) -> None:
        last = self._charts.get(component)
        if last is None or last.style != chart.style:
            set_props(component, {"figure": chart.figure})
        else:
            patch = figure_patch(last.figure, chart.figure)
            if patch is not None:
                set_props(component, {"figure": patch})
        self._charts[component] = chart


def _seen(side: Side) -> tuple[object, ...]:
    return side.series, side.series and side.series.version, side.end


class Pages:
    """All open pages of this process by their id."""

    def __init__(self) -> None:
        self._pages: dict[str, Page] = {}

    def open(self, page_id: str) -> Page:
        """Return a new page; an older one of the same id ends at its next turn."""
        page = self._pages[page_id] = Page()
        return page

    def close(self, page_id: str, page: Page) -> None:
        """Forget a page, unless a newer one has taken its place."""
        if self.is_current(page_id, page):
            del self._pages[page_id]

    def is_current(self, page_id: str, page: Page) -> bool:
        """Return whether no newer page has taken the id, as after a reconnection."""
        return self._pages.get(page_id) is page

    def wake(self, page_id: str | None = None) -> None:
        """Make one page, or all, look for changes now."""
        for name, page in self._pages.items():
            if page_id in (None, name):
                page.wake.set()


def register(app: Dash, store: Store, pages: Pages, thumbnails: Thumbnails) -> None:
    """Register the two server-side callbacks of the page."""

    # `app.callback` and not `dash.callback`: the latter is not found again by pages that were
    # open while the server was restarted. No Input: Dash then restarts it after a reconnection.
    @app.callback(State("page", "data"), websocket=True, persistent=True)
    async def live(page_id: Any) -> None:  # noqa: ANN401
        ws = ctx.websocket
        if ws is None or not isinstance(page_id, str):
            raise PreventUpdate
        page = pages.open(page_id)
        try:
            while not ws.is_shutdown and pages.is_current(page_id, page):
                page.wake.clear()
                try:
                    answer = await ws.get_prop("controls", "data", timeout=ANSWER_S)
                except TimeoutError:
                    continue
                controls = Controls.parse(answer)
                if controls.visible:
                    await page.push(store, controls)
                await asyncio.sleep(MIN_INTERVAL_S)
                await _wait(page.wake, MAX_INTERVAL_S - MIN_INTERVAL_S)
        finally:
            pages.close(page_id, page)

    @app.callback(
        Output("detail", "children"),
        Output("detail", "opened"),
        Input("feed", "selectedRows"),
        State("controls", "data"),
        prevent_initial_call=True,
    )
    async def open_detail(chosen: Any, choices: Any) -> tuple[Any, bool]:  # noqa: ANN401
        key = chosen[0].get("id") if chosen and isinstance(chosen[0], dict) else None
        row = next((row for row in store.feed if row.key == key), None)
        if row is None:  # nothing is chosen, or it has left the feed meanwhile
            raise PreventUpdate
        return detail(row, Controls.parse(choices).zone, await thumbnails.of(row)), True

    @app.callback(Input("controls", "data"), State("page", "data"))
    async def choose(_controls: Any, page_id: Any) -> None:  # noqa: ANN401
        if isinstance(page_id, str):
            pages.wake(page_id)


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), timeout_s)
    except TimeoutError:
        return

"""The pages: one long callback each, which pushes what has changed over the page's websocket.

A push happens when something has changed or a second has passed (ages move), at most ten times
a second. Each begins by asking the page for its choices: a page that is slow to answer is sent
nothing more meanwhile, so nothing piles up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from dash import Dash, Input, Output, State, ctx, html, set_props
from dash.exceptions import PreventUpdate

from dashboard.controls import Controls
from dashboard.detail import detail
from dashboard.drawing import Chart, sides
from dashboard.panels import alerts_table, feed_table
from dashboard.patches import figure_patch
from dashboard.pipeline import pipeline_panels, pipeline_props
from dashboard.sharing import Shared, seen
from dashboard.store import Store
from dashboard.thumbnails import Thumbnails
from dashboard.toolkit import graph, place_for
from dashboard.view import Props, connection, shown_place, texts

__all__ = ["Pages", "register"]

MIN_INTERVAL_S: Final = 0.1  # what comes in between is seen so much later at most
MAX_INTERVAL_S: Final = 1.0  # ages are shown in seconds
AHEAD_S: Final = 0.02  # of the line before the rest: the page takes about so long to redraw it
HIDDEN_S: Final = 5.0  # likewise where nobody looks; the page takes silence for a lost connection
ANSWER_S: Final = 10.0  # a hidden tab may be frozen; it is asked again after this


class Page:
    """One open page: its wake-up signal and what it was last sent.

    Args:
        shared: what pages that show the same have in common.

    Attributes:
        wake: set when there may be something to send.
        visible: whether somebody could see it when it was last asked.
        parts: charts and tables that the page has; `None` until it has said which. A chart comes
            when there is something to show in it, so that none is drawn twice before the first
            line, and tables after it.
    """

    def __init__(self, shared: Shared) -> None:
        self.wake = asyncio.Event()
        self.visible = True
        self.parts: set[str] | None = None
        self._shared = shared
        self._props: Props = {}
        self._charts: dict[str, Chart] = {}
        self._drawn: tuple[object, ...] = ()

    async def push(
        self, store: Store, controls: Controls, choices: Callable[[], Awaitable[Controls]]
    ) -> None:
        """Send everything that differs from what the page has: the line first.

        The page draws what it has while the rest is computed, and other pages have their turn. It
        is given time to draw a whole chart before the next one comes: what it is sent meanwhile is
        drawn in one go, and nothing can be seen until the last of it. When the viewer has chosen
        something else by then, the rest is left to the next push.

        Args:
            store: the state.
            controls: the viewer's choices.
            choices: asks for them again; the page answers between two pieces of its work.
        """
        if controls.place == "try":
            self._push_props(connection(store, time.monotonic()))  # the rest is the browser's own
            return
        shown = sides(store, controls)
        if shown[0].series is None:
            # It is being loaded, or Redis is away; what is there stays until then.
            self._push_props(connection(store, time.monotonic()))
            return
        self._push_props(shown_place(store, controls))
        if controls.place == "pipeline":
            props = texts(store, shown, controls, time.monotonic(), time.time())
            props |= pipeline_props(store, controls, time.time())
            self._add("pipeline", pipeline_panels, props)
            self._push_props(props)
            return
        if store.empty:
            self._push_props(connection(store, time.monotonic()))  # what is hidden can wait
            return
        # Charts depend on nothing but the panes and the choices: no clock.
        drawn = (controls, store.version, store.vitals.newest, *seen(shown))
        if drawn != self._drawn:
            for component, chart in self._shared.charts(store, controls, shown):
                whole = self._push_chart(component, chart)
                await asyncio.sleep(AHEAD_S if whole or component == "valence" else 0)
                if whole and await choices() != controls:
                    return
            self._drawn = drawn
        props = texts(store, shown, controls, time.monotonic(), time.time())
        if controls.place == "live":
            self._add("alerts", alerts_table, props)
            self._add("feed", feed_table, props)
        self._push_props(props)

    def _push_props(self, props: Props) -> None:
        for (component, name), value in props.items():
            if self._props.get((component, name)) != value:
                set_props(component, {name: value})
            self._props[component, name] = value

    def _add(self, part: str, make: Callable[[], Any], props: Props | None = None) -> None:
        """Put a part in its place, if the page has none. Tables cost more than a chart to make.

        The page remembers what it has, as the server may be another one later.

        Args:
            part: its name.
            make: makes its components.
            props: what they are to say at first; the page finds them a moment later only.
        """
        if part in (self.parts or ()):
            return
        self.parts = {part, *(self.parts or ())}
        root = html.Div(make())
        for (component, name), value in (props or {}).items():
            if component in root:
                setattr(root[component], name, value)
                self._props[component, name] = value
        set_props(place_for(part), {"children": root.children})
        set_props("parts", {"data": sorted(self.parts)})

    def _push_chart(self, component: str, chart: Chart) -> bool:
        """Send a chart, or what has changed in it; whether it is the whole of it."""
        last = self._charts.get(component)
        if component not in (self.parts or ()):
            if not chart.figure["data"]:
                return False  # nothing to show
            self._add(component, partial(graph, component, chart.figure))
        elif last is None or last.style != chart.style:
            set_props(component, {"figure": chart.figure})
        else:
            patch = figure_patch(last.figure, chart.figure)
            if patch is not None:
                set_props(component, {"figure": patch})
            self._charts[component] = chart
            return False
        self._charts[component] = chart
        return True


class Pages:
    """All open pages of this process by their id."""

    def __init__(self) -> None:
        self._pages: dict[str, Page] = {}
        self._shared = Shared()

    def open(self, page_id: str) -> Page:
        """Return a new page; an older one of the same id ends at its next turn."""
        page = self._pages[page_id] = Page(self._shared)
        return page

    def close(self, page_id: str, page: Page) -> None:
        """Forget a page, unless a newer one has taken its place."""
        if self.is_current(page_id, page):
            del self._pages[page_id]

    def is_current(self, page_id: str, page: Page) -> bool:
        """Return whether no newer page has taken the id, as after a reconnection."""
        return self._pages.get(page_id) is page

    def wake(self, page_id: str | None = None) -> None:
        """Make one page, or all that can be seen, look for changes now."""
        for name, page in self._pages.items():
            if name == page_id or (page_id is None and page.visible):
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
        ask = partial(ws.get_prop, prop_name="data", timeout=ANSWER_S)

        async def choices() -> Controls:
            return Controls.parse(await ask("controls"))

        try:
            while not ws.is_shutdown and pages.is_current(page_id, page):
                page.wake.clear()
                try:
                    controls = await choices()
                    if page.parts is None:
                        page.parts = _names(await ask("parts"))
                    page.visible = controls.visible
                    if page.visible:
                        await page.push(store, controls, choices)
                except TimeoutError:
                    continue
                await asyncio.sleep(MIN_INTERVAL_S)
                longest_s = MAX_INTERVAL_S if page.visible else HIDDEN_S
                await _wait(page.wake, longest_s - MIN_INTERVAL_S)
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


def _names(answer: Any) -> set[str]:  # noqa: ANN401
    return {name for name in answer if isinstance(name, str)} if isinstance(answer, list) else set()


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), timeout_s)
    except TimeoutError:
        return

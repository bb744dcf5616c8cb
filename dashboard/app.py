"""Puts the dashboard together: FastAPI below, Dash on it, the Redis reader beside it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, cast

from dash import ClientsideFunction, Dash, Input, Output, State
from fastapi import FastAPI, Response

from dashboard.access import Access, App
from dashboard.controls import Controls
from dashboard.drawing import Side, sides
from dashboard.entry import Entry
from dashboard.export import csv_text
from dashboard.language import current
from dashboard.language import gettext as _
from dashboard.layout import INDEX, page
from dashboard.live import Pages, register
from dashboard.reader import Reader
from dashboard.redis_client import end, public_address
from dashboard.scales import DEFAULT_RANGE_S
from dashboard.status import status
from dashboard.store import Store
from dashboard.thumbnails import Thumbnails
from dataflows.keys import ALL_SOURCES, Keys

__all__ = ["create_app"]

ATTACHED: Final = {"content-disposition": 'attachment; filename="sentiment.csv"'}
LOAD_S: Final = 3.0  # a source that nobody has looked at is read from Redis first
LOAD_TRIES: Final = 30


def create_app(redis_url: str, prefix: str, token: str | None = None) -> App:
    """Return the dashboard as an ASGI application; its reader runs from startup to shutdown.

    Args:
        redis_url: where the figures are read, credentials included.
        prefix: prefix of every key.
        token: what a viewer must present, `None` on loopback.
    """
    store, pages = Store(), Pages()
    keys = Keys(prefix)
    reader = Reader(redis_url, keys, store, pages.wake)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(reader.run())
        try:
            yield
        finally:
            await end(task)

    # No interactive API pages: they would load scripts from elsewhere.
    server = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    @server.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok", "redis": store.redis, "data": status(store, time.monotonic()).state}

    @server.get("/export.csv")
    async def export(
        source: str = ALL_SOURCES, range: int = DEFAULT_RANGE_S, end: int | None = None
    ) -> Response:
        """Return what the valence chart shows."""
        chosen = Controls.parse({"source": source, "range": range, "end": end})
        shown = await _loaded(store, chosen)
        if shown is None or shown.series is None or shown.end is None:
            return Response(_("There is nothing to export yet."), 404, media_type="text/plain")
        text = csv_text(shown.series, shown.end, chosen.scale)
        return Response(text, media_type="text/csv", headers=ATTACHED)

    app = _Dash(
        "dashboard",
        server=cast("Any", server),  # Dash's own annotation knows Flask only
        title="SentiStream",
        update_title="",  # the title does not flicker
        index_string=INDEX,
        assets_ignore=r"^worker\.js$",  # runs in a worker, not in the page
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
        websocket_inactivity_timeout=0,  # a quiet stream is no reason to hang up
        add_log_handler=False,
    )
    address = public_address(redis_url)
    app.layout = lambda: page(store, address, prefix)
    register(app, store, pages, Thumbnails(redis_url, keys))
    _register_clientside(app)
    # Only now are all inline scripts known.
    return Access(Entry(server), token, app.csp_hashes())


class _Dash(Dash):
    """Names the language of the page, which Dash does not know."""

    def interpolate_index(self, **parts: str) -> str:  # type: ignore[override]
        """Return the page with the language of the request."""
        index: str = super().interpolate_index(**parts)  # type: ignore[no-untyped-call]
        return index.replace("{language}", current(), 1)


async def _loaded(store: Store, controls: Controls) -> Side | None:
    """Return what a page shows, once its panes are read; `None` when that takes too long."""
    for _attempt in range(LOAD_TRIES):
        side = sides(store, controls)[0]
        if side.series is not None:
            return side
        await asyncio.sleep(LOAD_S / LOAD_TRIES)
    return None


def _register_clientside(app: Dash) -> None:
    """Connect the parts of the page that need no server (see `assets/page.js`)."""
    clientside: Callable[..., None] = app.clientside_callback

    def function(name: str) -> ClientsideFunction:
        return ClientsideFunction("sentistream", name)

    choices = [Input(name, "value") for name in ("source", "range", "compare", "other", "shift")]
    clientside(
        function("begin"),
        [Output(name, "data") for name in ("environment", "place", "moment")],
        [Output(choice.component_id, "value") for choice in choices],
        Input("page", "data"),
        State("messages", "data"),
    )
    clientside(
        function("controls"),
        Output("controls", "data"),
        [Input(name, "data") for name in ("environment", "place", "moment")],
        choices,
    )
    clientside(
        function("scrubbed"),
        Output("moment", "data", allow_duplicate=True),
        Input("scrub", "value"),
        State("scrub", "max"),
        State("scrub", "step"),
        prevent_initial_call=True,
    )
    clientside(
        function("chosen"),
        Output("source", "value", allow_duplicate=True),
        Input("heat", "clickData"),
        prevent_initial_call=True,
    )
    clientside(
        function("feed"),
        Output("feed", "rowData"),
        Input("feed-rows", "data"),
        prevent_initial_call=True,
    )
    clientside(
        function("badge"),
        Output("badge", "data-state"),
        Output("badge-label", "children"),
        Output("badge-detail", "children"),
        Input("status", "data"),
        Input("link", "data"),
    )

"""Puts the dashboard together: FastAPI below, Dash on it, the Redis reader beside it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
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
from dashboard.files import Files
from dashboard.forwarding import Api, Forwarder
from dashboard.language import current
from dashboard.language import gettext as _
from dashboard.layout import INDEX, page
from dashboard.live import Pages, register
from dashboard.plotly_script import plotly_script
from dashboard.reader import WINDOW_S, Reader
from dashboard.redis_client import end, public_address
from dashboard.scales import DEFAULT_RANGE_S
from dashboard.scripts import generators_script, needed_tags
from dashboard.status import status
from dashboard.store import Store
from dashboard.thumbnails import Thumbnails
from dataflows.keys import ALL_SOURCES, Keys

__all__ = ["create_app"]

ATTACHED: Final = {"content-disposition": 'attachment; filename="sentiment.csv"'}
OURS: Final = [(b"host", b"127.0.0.1")]  # of a request that the dashboard makes to itself
KEPT: Final = {"cache-control": "public, max-age=31536000, immutable"}
LOAD_S: Final = 3.0  # a source that nobody has looked at is read from Redis first
LOAD_TRIES: Final = 30


def create_app(
    redis_url: str, prefix: str, token: str | None, api: Api, window_s: int = WINDOW_S
) -> App:
    """Return the dashboard as an ASGI application; its reader runs from startup to shutdown.

    Args:
        redis_url: where the figures are read, credentials included.
        prefix: prefix of every key.
        token: what a viewer must present, `None` on loopback.
        api: the REST API that the page "Try it" asks.
        window_s: one of the rolling windows that the flow writes.
    """
    store, pages = Store(), Pages()
    forwarder = Forwarder(api)
    keys = Keys(prefix)
    reader = Reader(redis_url, keys, store, pages.wake, window_s)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(work) for work in (reader.run(), files.warm(OURS))]
        try:
            yield
        finally:
            await end(*tasks)
            await forwarder.close()

    # No interactive API pages: they would load scripts from elsewhere.
    server = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    @server.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok", "redis": store.redis, "data": status(store, time.monotonic()).state}

    script = (generators_script() + plotly_script()).encode()

    @server.get("/first.js")
    async def first() -> Response:
        """Return what has to be there before a page is put together; it is named with a version."""
        return Response(script, media_type="text/javascript", headers=KEPT)

    server.include_router(forwarder.router())

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
        index_string=INDEX.replace("{version}", _version(script), 1),
        assets_ignore=r"^(worker|try-.*)\.js$",  # of a worker, and of one page alone
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
        suppress_callback_exceptions=True,  # charts come after the page
        websocket_inactivity_timeout=0,  # a quiet stream is no reason to hang up
        add_log_handler=False,
    )
    address = public_address(redis_url)
    app.layout = lambda: page(store, address, prefix, api)
    register(app, store, pages, Thumbnails(redis_url, keys))
    _register_clientside(app)
    # Only now are all inline scripts known.
    files = Files(Entry(server))
    return Access(files, token, app.csp_hashes())


class _Dash(Dash):
    """Names the language of the page, and the scripts that it needs, which Dash does not know."""

    def interpolate_index(self, **parts: str) -> str:  # type: ignore[override]
        """Return the page with the language of the request."""
        parts["scripts"] = needed_tags(parts["scripts"])
        index: str = super().interpolate_index(**parts)  # type: ignore[no-untyped-call]
        return index.replace("{language}", current(), 1)


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


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
    )
    clientside(
        function("closed"),  # without an output: it would be in a circle
        Input("detail", "opened"),
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

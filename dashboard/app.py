"""Puts the dashboard together: FastAPI below, Dash on it, the Redis reader beside it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

from dash import ClientsideFunction, Dash, Input, Output
from fastapi import FastAPI

from dashboard.access import Access, App
from dashboard.layout import INDEX, page
from dashboard.live import Pages, register
from dashboard.reader import Reader
from dashboard.redis_client import end, public_address
from dashboard.status import status
from dashboard.store import Store
from dataflows.keys import Keys

__all__ = ["create_app"]


def create_app(redis_url: str, prefix: str, token: str | None = None) -> App:
    """Return the dashboard as an ASGI application; its reader runs from startup to shutdown.

    Args:
        redis_url: where the figures are read, credentials included.
        prefix: prefix of every key.
        token: what a viewer must present, `None` on loopback.
    """
    store, pages = Store(), Pages()
    reader = Reader(redis_url, Keys(prefix), store, pages.wake)

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

    app = Dash(
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
    register(app, store, pages)
    _register_clientside(app)
    return Access(server, token)


def _register_clientside(app: Dash) -> None:
    """Connect the parts of the page that need no server (see `assets/page.js`)."""
    clientside: Callable[..., None] = app.clientside_callback
    clientside(
        ClientsideFunction("sentistream", "environment"),
        Output("environment", "data"),
        Input("page", "data"),
    )
    clientside(
        ClientsideFunction("sentistream", "controls"),
        Output("controls", "data"),
        Input("source", "value"),
        Input("range", "value"),
        Input("environment", "data"),
    )
    clientside(
        ClientsideFunction("sentistream", "badge"),
        Output("badge", "data-state"),
        Output("badge-label", "children"),
        Output("badge-detail", "children"),
        Input("status", "data"),
        Input("link", "data"),
    )

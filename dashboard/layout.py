"""The page: what is where. Everything that changes has an id and is filled by `live`."""

from __future__ import annotations

import uuid
from typing import Any, Final

import dash_mantine_components as dmc
from dash import dcc, html
from dash.development.base_component import Component

from dashboard.forwarding import Api
from dashboard.language import LANGUAGES, current
from dashboard.language import gettext as _
from dashboard.notices import responsible_use, waiting
from dashboard.panels import history_tools, panels
from dashboard.scales import DEFAULT_RANGE_S, SCALES
from dashboard.store import Store
from dashboard.texts import span_text
from dashboard.theme import FONT
from dashboard.toolkit import hidden, label, place_for
from dashboard.trying import try_panels
from dashboard.view import source_options
from dataflows.keys import ALL_SOURCES

__all__ = ["INDEX", "page"]

# Dash's own page has no language, which screen readers need. And it would ask for things only when
# they are missing: for Plotly (whole), for what draws with it, and for what is on the page.
INDEX: Final = """<!DOCTYPE html>
<html lang="{language}">
<head>
{%metas%}
<link rel="preload" href="/_dash-layout" as="fetch" crossorigin="anonymous">
<link rel="preload" href="/_dash-dependencies" as="fetch" crossorigin="anonymous">
<title>{%title%}</title>
<link rel="icon" type="image/svg+xml" href="/assets/icon.svg">
{%css%}
</head>
<body>
{%app_entry%}
<noscript>This page needs JavaScript.</noscript>
{%config%}
{%scripts%}
<script src="/first.js?v={version}"></script>
<script src="/_dash-component-suites/dash/dcc/async-graph.js"></script>
{%renderer%}
</body>
</html>"""

_THEME: Final = {
    "primaryColor": "blue",
    "defaultRadius": "md",
    "fontFamily": FONT,
}
_PAUSE: Final[dict[str, Any]] = {"aria-pressed": "false"}
_BADGE: Final[dict[str, Any]] = {"data-state": "connecting"}


def page(store: Store, address: str, prefix: str, api: Api) -> Component:
    """Return the layout of one page, as the state is now, so that nothing flashes.

    Args:
        store: the state.
        address: the Redis address to show, without credentials.
        prefix: the prefix of the keys in Redis.
        api: what the REST API takes.
    """
    stores = ("environment", "place", "moment", "controls", "status", "link", "feed-rows", "parts")
    provider: Component = dmc.MantineProvider(
        [
            dcc.Store(id="page", data=uuid.uuid4().hex),
            dcc.Store(id="messages", data=_messages()),
            *(dcc.Store(id=name) for name in stores),
            html.A(_("Skip to the charts"), href="#content", className="skip"),
            html.Header([_bar(), _tools(store)]),
            html.Main(
                [
                    html.H1(_("Live sentiment"), id="heading", className="hidden-text"),
                    html.Div(waiting(address, prefix), id="empty", hidden=not store.empty),
                    html.Div([history_tools(), *panels()], id="main", hidden=store.empty),
                    html.Div(html.Div(id=place_for("pipeline")), id="pipeline", hidden=True),
                    try_panels(api),
                ],
                id="content",
                tabIndex="-1",
            ),
            responsible_use(),
            dmc.Modal(
                id="detail",
                size="lg",
                title=_("Prediction"),
                closeButtonProps=label(_("Close")),
            ),
        ],
        theme=_THEME,
        defaultColorScheme="auto",
    )
    return provider


def _messages() -> dict[str, Any]:
    """Return what the browser says by itself."""
    return {
        "states": {
            "connecting": _("Connecting"),
            "live": _("Live"),
            "stale": _("Stale"),
            "disconnected": _("Disconnected"),
        },
        "opening": _("opening the page's connection"),
        "away": _("the dashboard server does not answer; trying again"),
        "new": _("{count} new"),
        "paused": _("Resume"),
        "running": _("Pause"),
        "titles": {
            "live": _("Live sentiment"),
            "history": _("History"),
            "pipeline": _("Pipeline"),
            "try": _("Try it"),
        },
    }


def _bar() -> Component:
    places = (
        ("live", "/", _("Live")),
        ("history", "/history", _("History")),
        ("pipeline", "/pipeline", _("Pipeline")),
        ("try", "/try", _("Try it")),
    )
    return html.Div(
        [
            html.Div(
                [html.Span(className="mark", **hidden()), html.Span("SentiStream")],
                className="brand",
            ),
            html.Nav(
                [html.A(name, href=path, id=f"to-{place}") for place, path, name in places],
                className="places",
                **label(_("Pages")),
            ),
            html.Div(
                [
                    html.Span(className="dot", **hidden()),
                    html.Span(_("Connecting"), id="badge-label", role="status"),
                    html.Span("", id="badge-detail"),
                ],
                id="badge",
                **_BADGE,
            ),
            html.Button(
                html.Span(className="icon menu", **hidden()),
                id="menu",
                className="square",
                **label(_("Controls")) | {"aria-expanded": "false", "aria-controls": "tools"},
            ),
        ],
        className="bar",
    )


def _tools(store: Store) -> Component:
    ranges = [{"value": str(size), "label": span_text(size)} for size in SCALES]
    return html.Div(
        [
            html.Div(
                dmc.Select(
                    id="source",
                    data=source_options(store, ()),
                    value=ALL_SOURCES,
                    searchable=True,
                    clearSearchOnFocus=True,
                    allowDeselect=False,
                    limit=200,
                    nothingFoundMessage=_("No such source"),
                    comboboxProps={"withinPortal": False},  # else outside every landmark
                    **label(_("Source")),
                ),
                className="source",
            ),
            html.Div(
                dmc.SegmentedControl(
                    id="range",
                    fullWidth=True,
                    data=ranges,
                    value=str(DEFAULT_RANGE_S),
                    **label(_("Time range")),
                ),
                className="range",
            ),
            html.Button(_("Pause"), id="pause", className="plain", **_PAUSE),
            html.A(
                "CSV", id="csv", href="/export.csv", className="plain", download="sentiment.csv"
            ),
            html.Nav(
                [
                    html.A(
                        name,
                        id=f"language-{code}",
                        href=f"?lang={code}",
                        lang=code,
                        className="current" if code == current() else "",
                    )
                    for code, name in LANGUAGES.items()
                ],
                className="languages",
                **label(_("Language")),
            ),
            html.Div(
                dmc.ColorSchemeToggle(
                    id="scheme",
                    lightIcon=html.Span(className="icon sun", **hidden()),
                    darkIcon=html.Span(className="icon moon", **hidden()),
                    variant="default",
                    size=36,
                    **label(_("Light or dark")),
                ),
                className="scheme",
            ),
        ],
        id="tools",
        className="tools",
    )

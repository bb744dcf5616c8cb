"""The page: what is where. Everything that changes has an id and is filled by `live`."""

from __future__ import annotations

import uuid
from typing import Any, Final

import dash_ag_grid as dag
import dash_mantine_components as dmc
from dash import dcc, html
from dash.development.base_component import Component

from dashboard.controls import DEFAULT_RANGE_S, RANGES_S
from dashboard.figures import blank
from dashboard.notices import responsible_use, waiting
from dashboard.store import Store
from dashboard.texts import MISSING
from dashboard.theme import EXPRESSION_ORDER, FONT, palette
from dashboard.view import source_options
from dataflows.keys import ALL_SOURCES

__all__ = ["INDEX", "page"]

# Dash's own page has no language, which screen readers need.
INDEX: Final = """<!DOCTYPE html>
<html lang="en">
<head>
{%metas%}
<title>{%title%}</title>
<link rel="icon" type="image/svg+xml" href="assets/icon.svg">
{%css%}
</head>
<body>
{%app_entry%}
<noscript>This page needs JavaScript.</noscript>
{%config%}
{%scripts%}
{%renderer%}
</body>
</html>"""

_THEME: Final = {
    "primaryColor": "blue",
    "defaultRadius": "md",
    "fontFamily": FONT,
}
_BADGE: Final[dict[str, Any]] = {"data-state": "connecting"}
_GRAPH: Final[Any] = {"displayModeBar": False, "scrollZoom": False, "doubleClick": "reset"}


def page(store: Store, address: str, prefix: str) -> Component:
    """Return the layout of one page, as the state is now, so that nothing flashes.

    Args:
        store: the state.
        address: the Redis address to show, without credentials.
        prefix: the prefix of the keys in Redis.
    """
    provider: Component = dmc.MantineProvider(
        [
            dcc.Store(id="page", data=uuid.uuid4().hex),
            dcc.Store(id="environment"),
            dcc.Store(id="controls"),
            dcc.Store(id="status"),
            dcc.Store(id="link"),
            html.A("Skip to the charts", href="#content", className="skip"),
            _header(store),
            html.Main(
                [
                    html.H1("Live sentiment", className="hidden-text"),
                    html.Div(waiting(address, prefix), id="empty", hidden=not store.empty),
                    html.Div(_panels(), id="main", hidden=store.empty),
                ],
                id="content",
                tabIndex="-1",
            ),
            responsible_use(),
        ],
        theme=_THEME,
        defaultColorScheme="auto",
    )
    return provider


def _header(store: Store) -> Component:
    return html.Header(
        html.Div(
            [
                html.Div(
                    [html.Span(className="mark", **_hidden()), html.Span("SentiStream")],
                    className="brand",
                ),
                html.Div(
                    [
                        html.Span(className="dot", **_hidden()),
                        html.Span("Connecting", id="badge-label", role="status"),
                        html.Span("", id="badge-detail"),
                    ],
                    id="badge",
                    **_BADGE,
                ),
                html.Div(
                    dmc.Select(
                        id="source",
                        data=source_options(store, ALL_SOURCES),
                        value=ALL_SOURCES,
                        searchable=True,
                        clearSearchOnFocus=True,
                        allowDeselect=False,
                        limit=200,
                        nothingFoundMessage="No such source",
                        **_label("Source"),
                    ),
                    className="source",
                ),
                html.Div(
                    dmc.SegmentedControl(
                        id="range",
                        fullWidth=True,
                        data=[{"value": str(s), "label": name} for s, name in RANGES_S.items()],
                        value=str(DEFAULT_RANGE_S),
                        **_label("Time range"),
                    ),
                    className="range",
                ),
                html.Div(
                    dmc.ColorSchemeToggle(
                        id="scheme",
                        lightIcon=html.Span(className="icon sun", **_hidden()),
                        darkIcon=html.Span(className="icon moon", **_hidden()),
                        variant="default",
                        size=36,
                        **_label("Light or dark"),
                    ),
                    className="scheme",
                ),
            ],
            className="bar",
        )
    )


def _panels() -> list[Component]:
    return [
        html.Dl(
            [
                _figure("valence", "Valence", spread=True),
                _figure("expression", "Dominant expression", spread=True),
                _figure("confidence", "Confidence", note="mean probability"),
                _figure("rate", "Events per second"),
                _figure("age", "Data age"),
            ],
            className="figures",
        ),
        html.Div(
            [
                _card(
                    "Valence",
                    "10 s rolling mean with its 95 % band",
                    _graph("valence", "Rolling mean of valence over time, from -1 to 1"),
                    aside=html.Span(id="zone"),
                ),
                _card(
                    "Expressions",
                    "share of faces",
                    _legend(),
                    _graph("mix", "Shares of the seven expressions over time"),
                ),
            ],
            className="charts",
        ),
        _card("Latest events", "newest first, no picture is kept", _feed()),
    ]


def _figure(name: str, title: str, *, spread: bool = False, note: str = "") -> Component:
    value = [html.Span(MISSING, id=f"{name}-value")]
    if spread:
        value.append(html.Span("", id=f"{name}-spread", className="spread"))
    return html.Div(
        [
            html.Dt(title),
            html.Dd(value, className="value"),
            html.Dd(note, id=f"{name}-note", className="note"),
        ],
        className=f"card figure {name}",
    )


def _card(title: str, note: str, *children: Component, aside: Any = None) -> Component:  # noqa: ANN401
    head = [html.H2(title), html.P(note, className="note"), html.Span(aside, className="aside")]
    return html.Section([html.Div(head, className="head"), *children], className="card")


def _graph(name: str, label: str) -> Component:
    return html.Div(
        dcc.Graph(
            id=name,
            figure=blank(palette(dark=False)),
            config=_GRAPH,
            responsive=True,
            style={"height": "100%"},
        ),
        role="group",
        className="plot-area",
        **_label(label),
    )


def _legend() -> Component:
    return html.Ul(
        [
            html.Li(
                [
                    html.Span(className=f"swatch {name}", **_hidden()),
                    html.Span(name),
                    html.Span(MISSING, id=f"share-{name}", className="share"),
                ]
            )
            for name in EXPRESSION_ORDER
        ],
        className="legend",
    )


def _feed() -> Component:
    number = {"type": "rightAligned"}
    columns: list[dict[str, Any]] = [
        {"field": "time", "headerName": "Time", "width": 96},
        {"field": "source", "headerName": "Source", "flex": 2, "minWidth": 110},
        {"field": "faces", "headerName": "Faces", "width": 76, **number},
        {
            "field": "expression",
            "headerName": "Expression",
            "flex": 2,
            "minWidth": 140,
            "cellClassRules": {
                f"kind {name}": f"params.data.kind === '{name}'" for name in EXPRESSION_ORDER
            },
        },
        {"field": "confidence", "headerName": "Confidence", "width": 112, **number},
        {"field": "valence", "headerName": "Valence", "width": 96, **number},
    ]
    grid: Component = dag.AgGrid(
        id="feed",
        columnDefs=columns,
        rowData=[],
        getRowId="params.data.id",
        defaultColDef={"sortable": False, "resizable": False, "suppressMovable": True},
        dashGridOptions={
            "rowHeight": 34,
            "headerHeight": 36,
            "animateRows": False,
            "suppressCellFocus": False,
            "localeText": {"noRowsToShow": "None of the newest predictions is of this source"},
        },
        className="feed",
        style={"height": "324px"},
    )
    return grid


def _hidden() -> dict[str, Any]:
    return {"aria-hidden": "true"}


def _label(text: str) -> dict[str, Any]:
    return {"aria-label": text}

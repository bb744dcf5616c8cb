"""The page "Try it": a photo, a text or the camera, read on request.

It is the browser's own (`assets/try-*.js`): here is what it consists of, and what it says.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any, Final

import dash_mantine_components as dmc
from dash import html
from dash.development.base_component import Component

from dashboard.forwarding import Api
from dashboard.language import gettext as _
from dashboard.theme import EXPRESSION_ORDER, SENTIMENT_ORDER
from dashboard.toolkit import card, hidden, label

__all__ = ["try_panels"]

ASSETS: Final = Path(__file__).parent / "assets"
SCRIPT: Final = "try-page.js"
SOURCE: Final = "try-it"


def try_panels(api: Api) -> Component:
    """Return the page.

    Args:
        api: what it takes, so that the browser sends nothing that would be refused.
    """
    limits = {
        "bytes": api.max_picture_bytes,
        "pixels": api.max_pixels,
        "characters": api.max_text,
    }
    told: dict[str, Any] = {
        "data-script": f"/assets/{SCRIPT}?v={_version()}",
        "data-words": json.dumps(_words()),
        "data-limits": json.dumps(limits),
        "data-mode": "photo",
    }
    return html.Div([_input(), _output()], id="try", **told)


@cache
def _version() -> str:
    content = b"".join(path.read_bytes() for path in sorted(ASSETS.glob("try-*.js")))
    return hashlib.sha256(content).hexdigest()[:16]


def _input() -> Component:
    modes = (("photo", _("Photo")), ("text", _("Text")), ("camera", _("Camera")))
    return card(
        _("Try it"),
        _("one photo, one text, or your camera"),
        dmc.SegmentedControl(
            id="try-mode",
            fullWidth=True,
            data=[{"value": value, "label": name} for value, name in modes],
            value="photo",
            **label(_("What to read")),
        ),
        html.Div(
            [
                html.P(_("Drop a photo here, paste one, or")),
                html.Button(_("Choose a photo"), id="try-choose", className="plain"),
            ],
            id="try-drop",
            className="of-photo drop",
        ),
        html.Div(
            [
                dmc.Textarea(
                    id="try-text",
                    label=_("A text in English"),
                    autosize=True,
                    minRows=4,
                    maxRows=12,
                ),
                html.Button(_("Read the text"), id="try-read", className="plain strong"),
            ],
            className="of-text",
        ),
        html.Div(
            [
                html.Div(
                    [
                        html.Button(
                            _("Start the camera"), id="try-start", className="plain strong"
                        ),
                        html.Button(_("Stop"), id="try-stop", className="plain", hidden=True),
                        html.Button(
                            _("Hold this picture"), id="try-hold", className="plain", hidden=True
                        ),
                    ],
                    className="buttons",
                ),
                html.Div(
                    [
                        dmc.Switch(
                            id="try-publish", label=_("Publish what is read to Kafka, as source")
                        ),
                        dmc.TextInput(
                            id="try-source",
                            value=SOURCE,
                            placeholder=SOURCE,
                            **label(_("Name of the source")),
                        ),
                    ],
                    className="publish",
                ),
            ],
            className="of-camera",
        ),
        html.Div(
            [
                html.Video(id="try-video", muted=True, **hidden()),
                html.Canvas(id="try-canvas", role="img", **label(_("The picture"))),
            ],
            id="try-stage",
            hidden=True,
        ),
        html.P("", id="try-status", role="status"),
        html.P("", id="try-rate", className="note"),
        html.P("", id="try-error", role="alert", hidden=True),
        html.P(
            [
                html.Strong(_("What is stored: nothing. ")),
                _(
                    "Pictures and texts are forgotten with the answer. If you publish the camera, "
                    "the probabilities of the faces go to Kafka; if you send a correction, both "
                    "labels and the numbers that the model saw. The picture and the text never do."
                ),
            ],
            className="kept",
        ),
    )


def _output() -> Component:
    return card(
        _("What the model reads"),
        html.Span(id="try-summary"),
        html.Div(
            html.P(_("Here is the answer, as soon as there is one."), className="note"),
            id="try-results",
        ),
    )


def _words() -> dict[str, Any]:
    """Return what the browser says by itself."""
    return {
        "names": {name: _(name) for name in (*EXPRESSION_ORDER, *SENTIMENT_ORDER)},
        "expressions": EXPRESSION_ORDER,
        "sentiments": SENTIMENT_ORDER,
        "face": _("Face {number}"),
        "pair": _("{name}: {value}"),
        "text": _("Text"),
        "confidence": _("Confidence"),
        "probability": _("Probability"),
        "valence": _("Valence"),
        "models": _("Models"),
        "language": _("language: {code}"),
        "foreign": _("language: {code}, on which the model was not trained"),
        "cut": _("longer than the model reads, and cut"),
        "reading": _("Reading …"),
        "none": _("No face was found."),
        "one": _("One face was found."),
        "many": _("{count} faces were found."),
        "read": _("The text was read."),
        "on": _("The camera is on."),
        "rate": _("{rate} pictures/s, {time} ms each."),
        "published": _("Published: {count} as “{source}”."),
        "off": _("The camera is off."),
        "wrong": _("Not right?"),
        "choose": _("What is right?"),
        "send": _("Send the correction"),
        "stores": _("Stored are both labels and the numbers that the model saw."),
        "thanks": _("Thank you. Stored: {what}."),
        "stored": {"labels": _("both labels"), "features": _("the numbers that the model saw")},
        "errors": _errors(),
    }


def _errors() -> dict[str, str]:
    """Return what is said of a problem by its reason; of another one the API's own words are."""
    large = _("The picture is too large for the API.")
    picture = _("This is no picture that can be read.")
    busy = _("Too much is asked for at once. Try again in a moment.")
    slow = _("No answer has come in time. Try again.")
    old = _("This prediction can no longer be corrected. Have it read again.")
    return {
        "api_away": _(
            "The API does not answer. Start it with “python -m serving”, or everything with "
            "“sentistream up”, and try again."
        ),
        "api_refuses": _(
            "The API does not take the token of the dashboard. SENTISTREAM_API__TOKEN has to be "
            "the same for both."
        ),
        "api_wrong": _(
            "What answers is not the API. Check SENTISTREAM_DASHBOARD__API_URL of the dashboard."
        ),
        "not_our_page": _(
            "This page has another address than the server knows. A proxy has to pass on the "
            "header Host."
        ),
        "dashboard_away": _("The dashboard server does not answer. Try again in a moment."),
        "login": _("You are no longer logged in. Load the page again."),
        "kafka_away": _("Kafka does not answer, so nothing was stored. Try again."),
        "no_picture": picture,
        "broken_image": picture,
        "unknown_type": picture,
        "unsupported_type": picture,
        "too_large": large,
        "too_many_pixels": large,
        "body_too_large": large,
        "text_too_long": _("The text is too long for the API."),
        "empty_text": _("Nothing is left of the text without names of users and links."),
        "no_text_bundle": _("The API has no text model."),
        "no_text": _("Write a text first."),
        "no_label": _("Choose what is right first."),
        "busy": busy,
        "too_many_requests": busy,
        "api_slow": slow,
        "too_slow": slow,
        "slow_body": slow,
        "bad_receipt": old,
        "prediction_differs": old,
        "NotAllowedError": _("The camera was not allowed. Allow it in the browser, and try again."),
        "NotFoundError": _("There is no camera."),
        "insecure": _("Browsers give the camera only to pages over HTTPS or on localhost."),
        "camera": _("The camera cannot be used. Does another program have it?"),
    }

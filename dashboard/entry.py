"""What a request says before Dash sees it: the language to answer in, and the page meant.

Every page is the same to Dash, which serves it at `/` alone before its assets are known.
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qs

from dashboard.access import App, Message, Receive, Scope, Send
from dashboard.language import DEFAULT, LANGUAGES, use

__all__ = ["PATHS", "Entry", "preferred"]

PATHS: Final = ("/", "/history", "/pipeline")
COOKIE: Final = "sentistream_language"
_YEAR_S: Final = 365 * 24 * 3600


class Entry:
    """Passes requests on to `app` with their language in use.

    `?lang=` chooses one and is remembered, so that a shared address is read in the language in
    which it was sent; else the browser's own wishes count.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("lang", [""])[-1]
        remembered = _cookie(headers.get(b"cookie", ""))
        wished = preferred(headers.get(b"accept-language", ""))
        use(next((one for one in (asked, remembered) if one in LANGUAGES), wished))
        if scope["path"] in PATHS:
            scope = {**scope, "path": "/", "raw_path": b"/"}
        remember = asked in LANGUAGES and asked != remembered
        await self._app(scope, receive, _remembering(send, asked) if remember else send)


def preferred(header: str) -> str:
    """Return the best language for an `Accept-Language` header (RFC 9110, 12.5.4)."""
    wishes: list[tuple[float, str]] = []
    for part in header.split(",")[:20]:
        name, _, weight = part.strip().partition(";q=")
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            quality = 0.0
        if name.split("-")[0].lower() in LANGUAGES and quality > 0:
            wishes.append((quality, name.split("-")[0].lower()))
    return max(wishes, key=lambda wish: wish[0], default=(1.0, DEFAULT))[1]


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _remembering(send: Send, language: str) -> Send:
    cookie = f"{COOKIE}={language}; Path=/; Max-Age={_YEAR_S}; SameSite=Lax".encode()

    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), (b"set-cookie", cookie)]
        await send(message)

    return wrapped

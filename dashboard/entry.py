"""What a request says before Dash sees it: the language to answer in, and the page meant.

Every page is the same to Dash, which serves it at `/` alone before its assets are known.
"""

from __future__ import annotations

from typing import Final

from dashboard.access import App, Message, Receive, Scope, Send
from dashboard.language import use
from dashboard.preference import COOKIE, preference_of

__all__ = ["PATHS", "Entry"]

PATHS: Final = ("/", "/history", "/pipeline", "/try")
_YEAR_S: Final = 365 * 24 * 3600


class Entry:
    """Passes requests on to `app` with their language in use, and remembers a chosen one."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        asked = preference_of(scope)
        use(asked.language)
        if scope["path"] in PATHS:
            scope = {**scope, "path": "/", "raw_path": b"/"}
        await self._app(scope, receive, _remembering(send, asked.language) if asked.new else send)


def _remembering(send: Send, language: str) -> Send:
    cookie = f"{COOKIE}={language}; Path=/; Max-Age={_YEAR_S}; SameSite=Lax".encode()

    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), (b"set-cookie", cookie)]
        await send(message)

    return wrapped

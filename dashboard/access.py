"""Who may read the dashboard: loopback only, or a token; and never another web page.

An ASGI middleware around everything, so that no route can be forgotten:

- Without a token the server listens on loopback only, and the `Host` must be a loopback name:
  otherwise a page of another site could reach it by rebinding its DNS name to 127.0.0.1.
- With a token every request must carry it, as a cookie or as `Authorization: Bearer`. Who sends
  wrong ones has to wait.
- A websocket and every request that could change something must come from our own origin.

`/healthz` answers to anyone and says nothing but whether Redis is reached.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qs, parse_qsl, urlencode

from dashboard import login
from dashboard.headers import HSTS, Headers, dashboard_headers
from dashboard.language import gettext as _
from dashboard.language import use
from dashboard.preference import preference_of
from dataflows import callers
from dataflows.callers import (
    App,
    Message,
    Receive,
    Scope,
    Send,
    address_of,
    bearer,
    headers_of,
    is_loopback,
    same_token,
    split_url,
)
from dataflows.throttle import Throttle

__all__ = [
    "Access",
    "App",
    "Message",
    "Receive",
    "Scope",
    "Send",
    "is_loopback",
    "require_token",
]

COOKIE: Final = "sentistream_dashboard"
OPEN_PATHS: Final = frozenset({"/healthz"})
LOGIN_PATH: Final = "/login"
CAMERA_PATH: Final = "/try"  # the one page that may ask for the camera
MAX_LOGIN_BYTES: Final = 4096
_SAFE_METHODS: Final = frozenset({"GET", "HEAD"})

_log = logging.getLogger(__name__)


def require_token(host: str, token: str | None) -> None:
    """Check that the dashboard may listen on `host`.

    Raises:
        SettingsError: the address is not loopback and there is no token.
    """
    callers.require_token("the dashboard", "SENTISTREAM_DASHBOARD__TOKEN", host, token)


class Access:
    """Lets a request through to `app` only if it may read the dashboard.

    Args:
        app: what is guarded.
        token: the token, `None` on loopback.
        scripts: what allows the inline scripts of `app`, as `Dash.csp_hashes()` gives it.
        clock: seconds that never go back, for the waiting time after wrong tokens.
    """

    def __init__(
        self,
        app: App,
        token: str | None,
        scripts: Iterable[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._token = token.encode() if token else None
        self._cookie = _cookie_value(self._token) if self._token else ""
        scripts = tuple(scripts)
        self._headers = dashboard_headers(scripts)
        self._camera_headers = dashboard_headers(scripts, camera=True)
        self._throttle = Throttle(clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        use(preference_of(scope).language)
        headers = headers_of(scope)
        refusal = self._foreign(scope, headers)
        if refusal:
            await _refuse(scope, send, 403, _("Not from here"), refusal)
        elif self._token is None or scope["path"] in OPEN_PATHS or self._has_cookie(headers):
            await self._pass(scope, receive, send)
        elif given := bearer(headers):
            # Judged by its own failures alone, so that nobody can shut a program out.
            if wait_s := self._throttle.client_wait_s(address_of(scope)):
                await _too_many(scope, send, wait_s)
            elif self._right(given, scope):
                await self._pass(scope, receive, send)
            else:
                await _refuse(
                    scope, send, 401, _("That is not the token"), login.explanation(), form=True
                )
        elif scope["type"] == "http" and scope["path"] == LOGIN_PATH and scope["method"] == "POST":
            await self._login(await _form(receive), scope, send)
        else:
            given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
            if given and scope["type"] == "http" and scope["method"] in _SAFE_METHODS:
                await self._login(given, scope, send)
            else:
                await _refuse(scope, send, 401, _("Please log in"), login.explanation(), form=True)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        own = self._camera_headers if scope["path"] == CAMERA_PATH else self._headers
        added = _for_https(own, scope)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *added]
            await send(message)

        await self._app(scope, receive, with_headers)

    def _foreign(self, scope: Scope, headers: dict[str, str]) -> str:
        """Return why a request is refused that another web page could have sent."""
        host = headers.get("host", "")
        by_name = self._token is None and scope["path"] not in OPEN_PATHS
        if by_name and not is_loopback(split_url(f"//{host}").hostname or ""):
            return _(
                "Without a token the dashboard answers only to localhost and 127.0.0.1. To "
                "reach it by another name, set SENTISTREAM_DASHBOARD__TOKEN."
            )
        if scope["type"] == "http" and scope["method"] in _SAFE_METHODS:
            return ""
        origin = headers.get("origin")
        if origin is None and scope["type"] == "http":
            return ""  # not a browser; browsers name the origin of such requests
        if origin is None or split_url(origin).netloc != host:
            return _("The request does not come from the dashboard's own page.")
        return ""

    def _has_cookie(self, headers: dict[str, str]) -> bool:
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and same_token(cookie.value, self._cookie.encode())

    def _right(self, given: str, scope: Scope) -> bool:
        """Return whether this is the token; a wrong one is counted."""
        if self._token is not None and same_token(given, self._token):
            return True
        address = address_of(scope)
        self._throttle.failed(address)
        if wait_s := self._throttle.wait_s(address):
            _log.warning("too many wrong tokens, at last from %s: %.0f s wait", address, wait_s)
        return False

    async def _login(self, given: str, scope: Scope, send: Send) -> None:
        # Before the token is looked at: what comes too soon must not learn whether it was right.
        if wait_s := self._throttle.wait_s(address_of(scope)):
            await _too_many(scope, send, wait_s)
            return
        if not self._right(given, scope):
            await _refuse(
                scope, send, 401, _("That is not the token"), login.explanation(), form=True
            )
            return
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        cookie = f"{COOKIE}={self._cookie}; Path=/; HttpOnly; SameSite=Lax{secure}"
        query = [
            item
            for item in parse_qsl(scope["query_string"].decode("latin-1"))
            if item[0] != "token"
        ]
        path = "/" if scope["path"] == LOGIN_PATH else "/" + scope["path"].lstrip("/")
        target = path + (f"?{urlencode(query)}" if query else "")
        extra = [
            (b"set-cookie", cookie.encode("latin-1")),
            (b"location", target.encode("ascii", "ignore")),
        ]
        await _answer(scope, send, 303, b"", extra)


@lru_cache(maxsize=8)
def _cookie_value(token: bytes) -> str:
    """Return what the browser keeps: it opens nothing but this dashboard.

    Slow to derive, as a cookie is not throttled: guessing tokens through it costs the guesser.
    """
    return hashlib.scrypt(token, salt=b"sentistream dashboard cookie", n=2**14, r=8, p=1).hex()


async def _form(receive: Receive) -> str:
    """Return the field `token` of a posted form; empty when it is too long or not there."""
    body = bytearray()
    while len(body) <= MAX_LOGIN_BYTES:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0]
    return ""


def _for_https(headers: Headers, scope: Scope) -> Headers:
    name = split_url(f"//{headers_of(scope).get('host', '')}").hostname or ""
    return (*headers, HSTS) if scope.get("scheme") == "https" and not is_loopback(name) else headers


async def _too_many(scope: Scope, send: Send, wait_s: float) -> None:
    seconds = math.ceil(wait_s)
    text = _("Too many wrong tokens have been tried. Try again in {seconds} s.")
    retry = (b"retry-after", str(seconds).encode())
    title = _("Please wait")
    await _refuse(scope, send, 429, title, text.format(seconds=seconds), retry, form=True)


async def _refuse(
    scope: Scope,
    send: Send,
    code: int,
    title: str,
    text: str,
    *extra: tuple[bytes, bytes],
    form: bool = False,
) -> None:
    if scope["type"] == "websocket":
        # Closing before accepting is an HTTP 403 for the client.
        await send({"type": "websocket.close", "code": 1008, "reason": title})
        return
    page = login.small_page(title, text, form=form)
    kind = (b"content-type", b"text/html; charset=utf-8")
    await _answer(scope, send, code, page, [kind, *extra])


async def _answer(
    scope: Scope, send: Send, code: int, body: bytes, extra: list[tuple[bytes, bytes]]
) -> None:
    length = (b"content-length", str(len(body)).encode())
    headers = [*_for_https(login.HEADERS, scope), (b"cache-control", b"no-store"), length, *extra]
    await send({"type": "http.response.start", "status": code, "headers": headers})
    await send({"type": "http.response.body", "body": body})

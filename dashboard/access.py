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
import hmac
import ipaddress
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import lru_cache
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import SplitResult, parse_qs, parse_qsl, urlencode, urlsplit

from dashboard import login
from dashboard.headers import HSTS, Headers, dashboard_headers
from dashboard.throttle import Throttle
from models.errors import SettingsError

__all__ = ["Access", "is_loopback", "require_token"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE: Final = "sentistream_dashboard"
OPEN_PATHS: Final = frozenset({"/healthz"})
LOGIN_PATH: Final = "/login"
MAX_LOGIN_BYTES: Final = 4096
_SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
_WRONG: Final = "That is not the token"

_log = logging.getLogger(__name__)


def is_loopback(host: str) -> bool:
    """Return whether an address or name can only be reached from this machine."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def require_token(host: str, token: str | None) -> None:
    """Check that the dashboard may listen on `host`.

    Raises:
        SettingsError: the address is not loopback and there is no token.
    """
    if not token and not is_loopback(host):
        raise SettingsError(
            f"the dashboard is to listen on {host}, which others can reach: set "
            "SENTISTREAM_DASHBOARD__TOKEN to a long random text, or listen on 127.0.0.1"
        )


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
        self._headers = dashboard_headers(scripts)
        self._throttle = Throttle(clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = _headers(scope)
        refusal = self._foreign(scope, headers)
        if refusal:
            await _refuse(scope, send, 403, "Not from here", refusal)
        elif self._token is None or scope["path"] in OPEN_PATHS or self._has_cookie(headers):
            await self._pass(scope, receive, send)
        elif bearer := _bearer(headers):
            # Judged by its own failures alone, so that nobody can shut a program out.
            if wait_s := self._throttle.client_wait_s(_address(scope)):
                await _too_many(scope, send, wait_s)
            elif self._right(bearer, scope):
                await self._pass(scope, receive, send)
            else:
                await _refuse(scope, send, 401, _WRONG, login.EXPLANATION, form=True)
        elif scope["type"] == "http" and scope["path"] == LOGIN_PATH and scope["method"] == "POST":
            await self._login(await _form(receive), scope, send)
        else:
            given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
            if given and scope["type"] == "http" and scope["method"] in _SAFE_METHODS:
                await self._login(given, scope, send)
            else:
                await _refuse(scope, send, 401, "Please log in", login.EXPLANATION, form=True)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        added = _for_https(self._headers, scope)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *added]
            await send(message)

        await self._app(scope, receive, with_headers)

    def _foreign(self, scope: Scope, headers: dict[str, str]) -> str:
        """Return why a request is refused that another web page could have sent."""
        host = headers.get("host", "")
        by_name = self._token is None and scope["path"] not in OPEN_PATHS
        if by_name and not is_loopback(_split(f"//{host}").hostname or ""):
            return (
                "Without a token the dashboard answers only to localhost and 127.0.0.1. To "
                "reach it by another name, set SENTISTREAM_DASHBOARD__TOKEN."
            )
        if scope["type"] == "http" and scope["method"] in _SAFE_METHODS:
            return ""
        origin = headers.get("origin")
        if origin is None and scope["type"] == "http":
            return ""  # not a browser; browsers name the origin of such requests
        if origin is None or _split(origin).netloc != host:
            return "The request does not come from the dashboard's own page."
        return ""

    def _has_cookie(self, headers: dict[str, str]) -> bool:
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and _same(cookie.value, self._cookie.encode())

    def _right(self, given: str, scope: Scope) -> bool:
        """Return whether this is the token; a wrong one is counted."""
        if self._token is not None and _same(given, self._token):
            return True
        address = _address(scope)
        self._throttle.failed(address)
        if wait_s := self._throttle.wait_s(address):
            _log.warning("too many wrong tokens, at last from %s: %.0f s wait", address, wait_s)
        return False

    async def _login(self, given: str, scope: Scope, send: Send) -> None:
        # Before the token is looked at: what comes too soon must not learn whether it was right.
        if wait_s := self._throttle.wait_s(_address(scope)):
            await _too_many(scope, send, wait_s)
            return
        if not self._right(given, scope):
            await _refuse(scope, send, 401, _WRONG, login.EXPLANATION, form=True)
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


def _same(given: str, expected: bytes) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected)


def _split(url: str) -> SplitResult:
    """Split an address of the request; one that is none is empty."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): v.decode("latin-1") for name, v in scope["headers"]}


async def _form(receive: Receive) -> str:
    """Return the field `token` of a posted form; empty when it is too long or not there."""
    body = bytearray()
    while len(body) <= MAX_LOGIN_BYTES:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0]
    return ""


def _bearer(headers: dict[str, str]) -> str:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return ""
    # Headers are read as Latin-1; programs send UTF-8, as the form does.
    return given.strip().encode("latin-1").decode("utf-8", "surrogateescape")


def _address(scope: Scope) -> str:
    """Return the client's address; the server puts in what a trusted proxy forwards."""
    client = scope.get("client")
    return client[0] if client else ""


def _for_https(headers: Headers, scope: Scope) -> Headers:
    name = _split(f"//{_headers(scope).get('host', '')}").hostname or ""
    return (*headers, HSTS) if scope.get("scheme") == "https" and not is_loopback(name) else headers


async def _too_many(scope: Scope, send: Send, wait_s: float) -> None:
    seconds = math.ceil(wait_s)
    text = f"Too many wrong tokens have been tried. Try again in {seconds} s."
    retry = (b"retry-after", str(seconds).encode())
    await _refuse(scope, send, 429, "Please wait", text, retry, form=True)


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

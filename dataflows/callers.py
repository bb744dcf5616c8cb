"""Who calls one of our web servers: from where, under which name, and with which token.

What the dashboard and the API judge in the same way stands here; what they answer is their own.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from models.errors import SettingsError

__all__ = [
    "App",
    "Message",
    "Receive",
    "Scope",
    "Send",
    "address_of",
    "bearer",
    "headers_of",
    "is_loopback",
    "require_token",
    "same_token",
    "split_url",
]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def is_loopback(host: str) -> bool:
    """Return whether an address or name can only be reached from this machine."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def require_token(server: str, setting: str, host: str, token: str | None) -> None:
    """Check that a server may listen on `host`.

    Args:
        server: what it is called in the message, such as `the dashboard`.
        setting: the variable that sets its token.
        host: the address.
        token: its token, None or empty if it has none.

    Raises:
        SettingsError: the address is not loopback and there is no token.
    """
    if not token and not is_loopback(host):
        raise SettingsError(
            f"{server} is to listen on {host}, which others can reach: set {setting} to a long "
            "random text, or listen on 127.0.0.1"
        )


def same_token(given: str, expected: bytes) -> bool:
    """Return whether a token is the expected one, in a time that does not tell how much of it."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected)


def bearer(headers: Mapping[str, str]) -> str:
    """Return the token of `Authorization: Bearer`, empty without one."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return ""
    # Headers are read as Latin-1; programs send UTF-8, as a form does.
    return given.strip().encode("latin-1").decode("utf-8", "surrogateescape")


def headers_of(scope: Scope) -> dict[str, str]:
    """Return the headers of a connection by their names in lower case."""
    return {name.decode("latin-1").lower(): v.decode("latin-1") for name, v in scope["headers"]}


def address_of(scope: Scope) -> str:
    """Return the client's address; the server puts in what a trusted proxy forwards."""
    client = scope.get("client")
    return client[0] if client else ""


def split_url(url: str) -> SplitResult:
    """Split an address of a request; one that is none is empty."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")

"""Nobody reads the dashboard who should not: no other machine without the token, no other site."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote_plus

import pytest

from dashboard.access import COOKIE, Access, is_loopback, require_token
from models.errors import SettingsError

TOKEN = "correct horse battery staple ✓"  # noqa: S105 - made up


class Answer:
    def __init__(self, messages: list[dict[str, Any]]) -> None:
        self.messages = messages
        self.passed = any(message["type"] == "inner" for message in messages)
        start = next((m for m in messages if m["type"] == "http.response.start"), {})
        self.status = start.get("status")
        self.headers = {k.decode(): v.decode() for k, v in start.get("headers", [])}
        self.body = b"".join(m.get("body", b"") for m in messages)


def ask(
    path: str = "/",
    token: str | None = None,
    kind: str = "http",
    method: str = "GET",
    body: bytes = b"",
    **headers: str,
) -> Answer:
    """Send one request through the guard; `headers` use `_` for `-`."""
    sent: list[dict[str, Any]] = []
    path, _, query = path.partition("?")
    headers = {"host": "127.0.0.1:8050"} | headers
    scope = {
        "type": kind,
        "path": path,
        "query_string": query.encode(),
        "method": method,
        "scheme": "http",
        "headers": [
            (k.replace("_", "-").encode(), v.encode("latin-1")) for k, v in headers.items()
        ],
    }

    async def inner(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "inner"})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Access(inner, token)(scope, receive, send))
    return Answer(sent)


def cookie_of(answer: Answer) -> str:
    return answer.headers["set-cookie"].split(";")[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost"])
def test_loopback_needs_no_token(host: str) -> None:
    assert is_loopback(host)
    require_token(host, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org", ""])  # noqa: S104
def test_any_other_address_demands_a_token(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(SettingsError, match="SENTISTREAM_DASHBOARD__TOKEN"):
        require_token(host, None)
    with pytest.raises(SettingsError):
        require_token(host, "")
    require_token(host, TOKEN)


def test_without_a_token_only_loopback_names_are_answered() -> None:
    for host in ("localhost:8050", "127.0.0.1", "[::1]:8050"):
        assert ask(host=host).passed
    for host in ("evil.example:8050", "192.168.1.4", "", "127.0.0.1.evil.example"):
        answer = ask(host=host)
        assert not answer.passed
        assert answer.status == 403


@pytest.mark.parametrize("token", [None, TOKEN])
def test_a_websocket_of_another_page_is_refused(token: str | None) -> None:
    good = cookie_of(ask("/?token=" + quote_plus(TOKEN), token)) if token else "a=b"
    own = ask(kind="websocket", token=token, origin="http://127.0.0.1:8050", cookie=good)
    assert own.passed
    for origin in ("http://evil.example", "http://127.0.0.1:9999", "null"):
        answer = ask(kind="websocket", token=token, origin=origin, cookie=good)
        assert [m["type"] for m in answer.messages] == ["websocket.close"]
    assert not ask(kind="websocket", token=token, cookie=good).passed


def test_a_post_of_another_page_is_refused_but_not_one_of_a_program() -> None:
    assert ask(method="POST").passed
    assert ask(method="POST", origin="http://127.0.0.1:8050").passed
    assert ask(method="POST", origin="http://evil.example").status == 403


def test_with_a_token_nothing_is_answered_without_it() -> None:
    for path in ("/", "/_dash-layout", "/assets/style.css", "/anything", "/?token=wrong"):
        answer = ask(path, TOKEN)
        assert not answer.passed
        assert answer.status == 401
        assert b"SENTISTREAM_DASHBOARD__TOKEN" in answer.body
    assert not ask(kind="websocket", token=TOKEN, origin="http://127.0.0.1:8050").passed


def test_health_is_answered_to_anyone() -> None:
    assert ask("/healthz", TOKEN).passed
    assert ask("/healthz", None, host="pod-7.internal").passed


def test_the_token_in_the_address_becomes_a_cookie_and_leaves_the_address() -> None:
    answer = ask("/page?token=" + quote_plus(TOKEN) + "&source=a%20b", TOKEN)
    assert answer.status == 303
    assert answer.headers["location"] == "/page?source=a+b"
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=Lax" in answer.headers["set-cookie"]
    assert quote_plus(TOKEN) not in str(answer.messages)
    assert ask(token=TOKEN, cookie=cookie_of(answer)).passed
    assert not ask(token="another", cookie=cookie_of(answer)).passed  # noqa: S106


def test_logging_in_never_leads_to_another_site() -> None:
    answer = ask("//evil.example/?token=" + quote_plus(TOKEN), TOKEN)
    assert answer.headers["location"] == "/evil.example/"


def test_the_form_logs_in() -> None:
    body = b"token=" + quote_plus(TOKEN).encode()
    answer = ask("/login", TOKEN, method="POST", body=body, origin="http://127.0.0.1:8050")
    assert answer.status == 303
    assert answer.headers["location"] == "/"
    assert ask(token=TOKEN, cookie=cookie_of(answer)).passed
    wrong = ask("/login", TOKEN, method="POST", body=b"token=x")
    assert wrong.status == 401
    long = ask("/login", TOKEN, method="POST", body=b"x" * 5000 + body)
    assert long.status == 401


def test_programs_send_the_token_as_bearer() -> None:
    ascii_token = "plain-token"  # noqa: S105
    assert ask(token=ascii_token, authorization="Bearer plain-token").passed
    for given in ("Bearer wrong", "Bearer", "plain-token", "Basic plain-token", "Bearer ÿ"):
        assert ask(token=ascii_token, authorization=given).status == 401


@pytest.mark.parametrize("cookie", ["", "x", f"{COOKIE}=", f"{COOKIE}=0", "\x7f=;;==", "a" * 9000])
def test_a_broken_cookie_is_no_login(cookie: str) -> None:
    assert ask(token=TOKEN, cookie=cookie).status == 401

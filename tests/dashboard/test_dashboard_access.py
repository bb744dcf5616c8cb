"""Nobody reads the dashboard who should not: no other machine without the token, no other site."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote_plus

import pytest
from asking import TOKEN, Answer, Clock, ask, cookie_of, inner

from dashboard.access import COOKIE, Access, is_loopback, require_token
from dataflows.throttle import ALL_CLIENTS, ONE_CLIENT
from models.errors import SettingsError


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


def test_the_form_is_in_the_language_of_its_reader() -> None:
    for path, wish, language, word in (
        ("/", "fr-CA, en;q=0.5", "fr", "Jeton"),
        ("/?lang=fr", "en", "fr", "Jeton"),
        ("/", "en", "en", "Token"),
    ):
        page = ask(path, TOKEN, accept_language=wish).body.decode()
        assert f'<html lang="{language}">' in page
        assert f"<label>{word}" in page


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


@pytest.mark.parametrize("url", ["http://[::1", "http://[", "//[x]"])
def test_a_broken_origin_or_host_is_refused(url: str) -> None:
    assert ask(method="POST", origin=url).status == 403
    assert ask(host=url.removeprefix("http://")).status == 403
    assert not ask(kind="websocket", token=TOKEN, origin=url).passed


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def guard(clock: Clock) -> Access:
    return Access(inner, TOKEN, clock=clock)


def form(guard: Access, token: str, client: str = "192.0.2.1") -> Answer:
    """Post the form of the login page."""
    body = b"token=" + quote_plus(token).encode()
    return ask("/login", method="POST", body=body, client=client, guard=guard)


def bearer(guard: Access, token: str, client: str = "192.0.2.1") -> Answer:
    """Ask as a program does."""
    given = "Bearer " + token.encode().decode("latin-1")
    return ask(client=client, guard=guard, authorization=given)


def addresses() -> Iterator[str]:
    """Return addresses that nobody has used yet."""
    return (f"198.51.{high}.{low}" for high in range(256) for low in range(256))


def test_after_some_wrong_tokens_even_the_right_one_has_to_wait(
    guard: Access, clock: Clock
) -> None:
    for number in range(ONE_CLIENT.burst):
        assert form(guard, f"wrong {number}").status == 401
    for attempt in (form(guard, "wrong"), form(guard, TOKEN)):
        assert attempt.status == 429
        assert attempt.headers["retry-after"] == "30"
        assert b"Try again in 30 s" in attempt.body
        assert b"<form" in attempt.body
        assert "set-cookie" not in attempt.headers
    assert ask("/?token=" + quote_plus(TOKEN), guard=guard).status == 429
    assert ask(guard=guard).status == 401  # the form itself is no attempt
    clock.now += 29.5
    assert form(guard, TOKEN).headers["retry-after"] == "1"
    clock.now += 0.5
    assert form(guard, TOKEN).status == 303


def test_what_came_too_soon_does_not_prolong_the_wait(guard: Access, clock: Clock) -> None:
    for _ in range(ONE_CLIENT.burst + 100):
        form(guard, "wrong")
    clock.now += ONE_CLIENT.pause_s
    assert form(guard, "wrong").status == 401  # one more attempt
    assert form(guard, TOKEN).status == 429


def test_one_client_does_not_shut_out_another(guard: Access) -> None:
    for _ in range(ONE_CLIENT.burst + 1):
        form(guard, "wrong", client="192.0.2.1")
    assert form(guard, TOKEN, client="192.0.2.1").status == 429
    assert form(guard, TOKEN, client="192.0.2.2").status == 303


def test_many_clients_together_are_slowed_too_but_no_program_and_no_viewer(
    guard: Access, clock: Clock
) -> None:
    cookie = cookie_of(form(guard, TOKEN, client="203.0.113.1"))
    for _, client in zip(range(ALL_CLIENTS.burst), addresses(), strict=False):
        assert form(guard, "wrong", client=client).status == 401
    assert form(guard, TOKEN, client="203.0.113.2").status == 429
    assert bearer(guard, TOKEN, client="203.0.113.2").passed
    assert ask(guard=guard, cookie=cookie, client="203.0.113.1").passed
    clock.now += ALL_CLIENTS.pause_s
    assert form(guard, TOKEN, client="203.0.113.2").status == 303


def test_wrong_bearer_tokens_count_as_well(guard: Access, clock: Clock) -> None:
    assert bearer(guard, TOKEN).passed
    for number in range(ONE_CLIENT.burst):
        assert bearer(guard, f"wrong {number}").status == 401
    answer = bearer(guard, TOKEN)
    assert answer.status == 429
    assert answer.headers["retry-after"] == "30"
    assert form(guard, TOKEN).status == 429
    assert ask("/healthz", guard=guard).passed
    clock.now += ONE_CLIENT.pause_s
    assert bearer(guard, TOKEN).passed
    assert form(guard, TOKEN).status == 303


def test_wrong_tokens_are_logged_without_the_token(
    guard: Access, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(ONE_CLIENT.burst):
        form(guard, "nearly right")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "192.0.2.1" in caplog.text
    assert "nearly right" not in caplog.text

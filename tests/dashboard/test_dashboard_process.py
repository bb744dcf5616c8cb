"""`python -m dashboard` as its operator meets it: addresses, refusals, health, ending."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from waiting import PATIENCE_S
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
NOWHERE = "redis://:s3cr3t@127.0.0.1:1/0"  # nothing listens on port 1


def get(url: str, **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(url, headers=headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(300):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("the condition was not met")


def health(url: str) -> dict[str, str]:
    status, body = get(f"{url}/healthz")
    assert status == 200
    found: dict[str, str] = json.loads(body)
    return found


def refused(**settings: str) -> str:
    """Start a dashboard that must refuse; return what it says."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SENTISTREAM_")}
    environment |= {"PYTHONPATH": str(ROOT)}
    environment |= {f"SENTISTREAM_{name}": value for name, value in settings.items()}
    result = subprocess.run(
        [sys.executable, "-m", "dashboard"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1
    return result.stderr


def test_a_wrong_redis_address_is_shown_and_healed(
    redis_server: Any, start_dashboard: Any, writer: Any
) -> None:
    redis_server.stop()
    dashboard = start_dashboard(REDIS__URL=redis_server.url.replace("://", "://:s3cr3t@"))
    wait_for(lambda: health(dashboard.url)["redis"] == "down")
    assert health(dashboard.url) == {"status": "ok", "redis": "down", "data": "disconnected"}
    status, page = get(f"{dashboard.url}/_dash-layout")
    assert status == 200
    assert redis_server.url.replace("/", r"\u002f") in page
    assert "s3cr3t" not in page + get(dashboard.url)[1]
    assert dashboard.stop() in (0, -signal.SIGTERM)
    assert "s3cr3t" not in "".join(dashboard.log)
    assert redis_server.url in "".join(dashboard.log)

    dashboard = start_dashboard(REDIS__URL=redis_server.url)
    redis_server.start()
    writer.face("camera-1", time.time())
    wait_for(lambda: health(dashboard.url)["data"] == "live")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_without_a_trace_while_pages_are_open(
    redis_server: Any, start_dashboard: Any, number: int
) -> None:
    dashboard = start_dashboard(REDIS__URL=redis_server.url)
    address = dashboard.url.replace("http", "ws") + "/_dash-ws-callback"
    with connect(address, origin=dashboard.url):
        assert dashboard.stop(number) in (0, -signal.SIGTERM)
    assert "".join(dashboard.log) == ""


def test_it_ends_while_redis_is_away(start_dashboard: Any) -> None:
    dashboard = start_dashboard(REDIS__URL=NOWHERE)
    assert dashboard.stop() in (0, -signal.SIGTERM)
    assert "Traceback" not in "".join(dashboard.log)


def test_another_address_than_loopback_demands_a_token() -> None:
    said = refused(DASHBOARD__HOST="0.0.0.0")  # noqa: S104
    assert "SENTISTREAM_DASHBOARD__TOKEN" in said
    assert "0.0.0.0" in said  # noqa: S104


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = refused(DASHBOARD__PORT=port)
    assert port in said
    assert "SENTISTREAM_DASHBOARD__PORT" in said


def test_a_wrong_setting_is_named() -> None:
    assert "SENTISTREAM_DASHBOARD__PORT" in refused(DASHBOARD__PROT="1")


@pytest.mark.parametrize("url", ["localhost:6379", "http://:s3cr3t@host/", "redis://h:port/0"])
def test_what_is_no_redis_url_is_refused_without_showing_it(url: str) -> None:
    said = refused(REDIS__URL=url, DASHBOARD__PORT="0")
    assert "SENTISTREAM_REDIS__URL" in said
    assert "s3cr3t" not in said


def test_only_our_own_page_may_open_the_websocket(start_dashboard: Any) -> None:
    dashboard = start_dashboard(REDIS__URL=NOWHERE)
    address = dashboard.url.replace("http", "ws") + "/_dash-ws-callback"
    with connect(address, origin=dashboard.url):
        pass
    with pytest.raises(InvalidStatus), connect(address, origin="http://evil.example"):
        pass
    assert get(dashboard.url, Host="evil.example")[0] == 403


def test_a_token_guards_everything_but_the_health(start_dashboard: Any) -> None:
    token = "a-long-token"  # noqa: S105 - made up
    dashboard = start_dashboard(
        REDIS__URL=NOWHERE,
        DASHBOARD__TOKEN=token,
        DASHBOARD__HOST="0.0.0.0",  # noqa: S104
    )
    url = dashboard.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104
    assert health(url)["status"] == "ok"
    for path in ("/", "/_dash-layout", "/_dash-dependencies", "/assets/style.css", "/nothing"):
        assert get(url + path)[0] == 401
        assert get(url + path, Authorization=f"Bearer {token}")[0] == 200
    get(f"{url}/?token={token}")
    address = url.replace("http", "ws") + "/_dash-ws-callback"
    with pytest.raises(InvalidStatus), connect(address, origin=url):
        pass
    bearer = {"Authorization": f"Bearer {token}"}
    with connect(address, origin=url, additional_headers=bearer):
        pass
    dashboard.stop()
    assert token not in "".join(dashboard.log)


def test_behind_a_proxy_wrong_tokens_are_counted_per_viewer(
    start_dashboard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "a-long-token"  # noqa: S105 - made up

    def tried(given: str, viewer: str) -> int:
        bearer = {"Authorization": f"Bearer {given}", "X-Forwarded-For": viewer}
        return get(dashboard.url, **bearer)[0]

    # Nobody is believed who is not named.
    dashboard = start_dashboard(REDIS__URL=NOWHERE, DASHBOARD__TOKEN=token)
    assert [tried("wrong", f"192.0.2.{n}") for n in range(6)] == [401] * 5 + [429]

    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "127.0.0.1")
    dashboard = start_dashboard(REDIS__URL=NOWHERE, DASHBOARD__TOKEN=token)
    assert [tried("wrong", "192.0.2.1") for _ in range(6)] == [401] * 5 + [429]
    assert tried(token, "192.0.2.1") == 429
    assert tried(token, "192.0.2.2") == 200
    assert "192.0.2.1" in "".join(dashboard.log)


def test_behind_a_proxy_with_tls_browsers_are_told_to_stay_with_it(
    start_dashboard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "a-long-token"  # noqa: S105 - made up
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "127.0.0.1")
    dashboard = start_dashboard(REDIS__URL=NOWHERE, DASHBOARD__TOKEN=token)
    address = urllib.parse.urlsplit(dashboard.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=PATIENCE_S)
    with contextlib.closing(connection):
        forwarded = {"Host": "dash.example", "X-Forwarded-Proto": "https"}
        connection.request("GET", f"/?token={token}", headers=forwarded)
        answer = connection.getresponse()
    assert answer.status == 303
    assert "Secure" in answer.headers["Set-Cookie"]
    assert "max-age" in answer.headers["Strict-Transport-Security"]


def test_every_file_of_the_page_is_served_from_here(start_dashboard: Any) -> None:
    dashboard = start_dashboard(REDIS__URL=NOWHERE)
    _, page = get(dashboard.url)
    assert '<html lang="en">' in page
    files = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(files) > 8
    for name in files:
        assert "://" not in name
        assert get(f"{dashboard.url}/{name.lstrip('/')}")[0] == 200
    for path in ("/docs", "/redoc", "/openapi.json"):  # pages that would load scripts from afar
        assert "swagger" not in get(dashboard.url + path)[1].lower()

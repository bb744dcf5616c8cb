"""What the page "Try it" asks reaches the API, and nothing else: real servers on both sides."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from waiting import PATIENCE_S

from dashboard.forwarding import ROUTES, api_of
from dataflows.settings import Settings

pytestmark = pytest.mark.integration

TOKEN = "the token of the API ✓"  # noqa: S105 - made up
OWN_TOKEN = "the token of the dashboard"  # noqa: S105 - made up
NOWHERE = "redis://127.0.0.1:1/0"
ANSWERED = {"id": "1", "faces": []}


class FakeApi:
    """Answers what it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.status = 200
        self.kind = "application/json"
        self.body = json.dumps(ANSWERED).encode()
        self.headers: dict[str, str] = {}
        self.hold = threading.Event()  # cleared, it does not answer
        self.hold.set()
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                api.asked.append((self.path, headers, body))
                api.hold.wait(30)
                self.send_response(api.status)
                for name, value in {"content-type": api.kind, **api.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(api.body)))
                self.end_headers()
                self.wfile.write(api.body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        self.hold.set()
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


@pytest.fixture
def api() -> Iterator[FakeApi]:
    running = FakeApi()
    yield running
    running.stop()


@pytest.fixture
def start(start_dashboard: Callable[..., Any], api: FakeApi) -> Callable[..., Any]:
    """A function that starts a dashboard that asks `api`, with more settings."""

    def begin(**settings: str) -> Any:
        given = {"REDIS__URL": NOWHERE, "DASHBOARD__API_URL": api.url} | settings
        return start_dashboard(**given)

    return begin


def post(url: str, path: str, content: bytes = b"x", **headers: str) -> httpx.Response:
    """Ask as a page of the dashboard does; `headers` use `_` for `-`."""
    named = {"origin": url, "content-type": "image/jpeg"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    given = {name.encode(): value.encode() for name, value in named.items() if value}
    return httpx.post(url + path, content=content, headers=given, timeout=PATIENCE_S)


def test_a_page_reaches_the_routes_that_it_needs(start: Any, api: FakeApi) -> None:
    url = start().url
    for path, there in ROUTES.items():
        answer = post(url, path, b"content")
        assert (answer.status_code, answer.json()) == (200, ANSWERED)
        asked, headers, body = api.asked.pop()
        assert (asked, headers["content-type"], body) == (there, "image/jpeg", b"content")
        # Nothing of the viewer but what is asked goes on.
        assert not {"cookie", "origin", "authorization"} & headers.keys()
    for odd in ("text/plain; a=\xe9", "text/plain; a=✓"):
        assert post(url, "/try/predict", content_type=odd).status_code == 200
        assert api.asked.pop()[1]["content-type"].encode("latin-1") == odd.encode()
    post(url, "/try/predict?receipt=true&id=made-up")
    assert api.asked.pop()[0] == "/v1/predict?receipt=true"
    assert post(url, "/try/models").status_code in (404, 405)
    httpx.get(f"{url}/try/predict", timeout=PATIENCE_S)
    assert api.asked == []


def test_another_page_reaches_nothing(start: Any, api: FakeApi) -> None:
    url = start().url
    for headers in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "none"},
    ):
        assert post(url, "/try/events", b"x", **headers).status_code == 403
    assert api.asked == []
    assert post(url, "/try/events", sec_fetch_site="same-origin").status_code == 200


def test_who_is_not_logged_in_reaches_nothing(start: Any, api: FakeApi) -> None:
    url = start(DASHBOARD__TOKEN=OWN_TOKEN).url
    assert post(url, "/try/predict").status_code == 401
    assert api.asked == []
    login = httpx.post(f"{url}/login", data={"token": OWN_TOKEN}, timeout=PATIENCE_S)
    cookie = login.headers["set-cookie"].partition(";")[0]
    assert post(url, "/try/predict", cookie=cookie).status_code == 200


def test_the_token_goes_to_the_api_and_to_nobody_else(start: Any, api: FakeApi) -> None:
    dashboard = start(API__TOKEN=TOKEN)
    answer = post(dashboard.url, "/try/predict")
    given = api.asked.pop()[1]["authorization"]
    assert given.encode("latin-1").decode() == f"Bearer {TOKEN}"
    seen = [answer.text, str(answer.headers)]
    for path in ("/try", "/_dash-layout", "/_dash-dependencies"):
        seen.append(httpx.get(dashboard.url + path, timeout=PATIENCE_S).text)
    # Not either when it is refused: then it is the dashboard that is told, not the viewer.
    api.status, api.body = 401, json.dumps({"reason": "unauthorized"}).encode()
    refused = post(dashboard.url, "/try/predict")
    assert refused.status_code == 502
    assert refused.json()["reason"] == "api_refuses"
    assert "SENTISTREAM_API__TOKEN" in refused.json()["detail"]
    # After some the API lets nobody try for a while; that is what is still to be told.
    api.status = 429
    assert post(dashboard.url, "/try/predict").json()["reason"] == "api_refuses"
    api.status = 200
    assert post(dashboard.url, "/try/predict").status_code == 200
    api.status = 429
    assert post(dashboard.url, "/try/predict").status_code == 429
    dashboard.stop()
    assert TOKEN not in "".join([*seen, refused.text, *dashboard.log])


def test_a_problem_of_the_api_arrives_as_it_is(start: Any, api: FakeApi) -> None:
    api.status, api.kind = 503, "application/problem+json"
    problem = {"reason": "kafka_away", "detail": "Kafka is away"}
    api.body = json.dumps(problem).encode()
    api.headers = {"retry-after": "5", "set-cookie": "a=b"}
    answer = post(start().url, "/try/events")
    assert (answer.status_code, answer.json()) == (503, problem)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "5"
    assert "set-cookie" not in answer.headers


def test_what_is_too_large_goes_nowhere(start: Any, api: FakeApi) -> None:
    url = start(API__MAX_BODY_BYTES="2048").url
    assert post(url, "/try/predict", b"x" * 2048).status_code == 200
    answer = post(url, "/try/predict", b"x" * 2049)
    assert (answer.status_code, answer.json()["reason"]) == (413, "body_too_large")
    assert "2048" in answer.json()["detail"]
    assert len(api.asked) == 1


def test_something_else_than_the_api_is_no_answer(start: Any, api: FakeApi) -> None:
    url = start().url
    api.body = b"<script>alert(1)</script>"
    for api.kind in ("text/html", ""):
        answer = post(url, "/try/predict")
        assert (answer.status_code, answer.json()["reason"]) == (502, "api_wrong")
        assert "script" not in answer.text


def test_an_api_that_is_away_is_a_problem_and_not_a_crash(start_dashboard: Any) -> None:
    dashboard = start_dashboard(REDIS__URL=NOWHERE, API__PORT="1")
    for _ in range(2):
        answer = post(dashboard.url, "/try/predict")
        assert answer.status_code == 502
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["reason"] == "api_away"
        assert "python -m serving" in answer.json()["detail"]
    assert httpx.get(f"{dashboard.url}/healthz", timeout=PATIENCE_S).status_code == 200


def test_an_api_that_does_not_answer_is_given_up(start: Any, api: FakeApi) -> None:
    api.hold.clear()
    answer = post(start(API__TIMEOUT_S="2").url, "/try/predict")
    assert (answer.status_code, answer.json()["reason"]) == (504, "api_slow")


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"api": {"host": "0.0.0.0", "port": 81}}, "http://127.0.0.1:81"),  # noqa: S104
        ({"api": {"host": "::", "port": 81}}, "http://[::1]:81"),
        ({"api": {"host": "api.example", "port": 81}}, "http://api.example:81"),
        ({"dashboard": {"api_url": "https://api.example/"}}, "https://api.example"),
    ],
)
def test_the_settings_say_where_the_api_is(
    clean_environment: Any, given: dict[str, Any], url: str
) -> None:
    assert api_of(Settings.model_validate(given)).url == url


@pytest.mark.parametrize(
    "url",
    [
        *("api:8000", "ftp://api", "http://user:secret@api", "http://a/b", "http://:80"),
        *("http://a:b", "http://a:0", "http://a:99999", "http://[::1", "http://[x]"),
    ],
)
def test_an_address_that_is_none_is_refused(clean_environment: Any, url: str) -> None:
    with pytest.raises(ValueError, match="api_url"):
        Settings.model_validate({"dashboard": {"api_url": url}})


def test_there_is_a_limit_to_how_many_ask_at_once(start: Any, api: FakeApi) -> None:
    url = start().url
    api.hold.clear()
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(post(url, "/try/predict").status_code))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    while len(api.asked) + len(statuses) < len(threads) and any(t.is_alive() for t in threads):
        threads[0].join(0.05)
    assert set(statuses) == {429}
    api.hold.set()
    for thread in threads:
        thread.join()
    assert statuses.count(200) == 16
    assert post(url, "/try/predict").status_code == 200

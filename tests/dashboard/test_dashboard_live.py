"""The conversation between server and page, spoken over the page's own websocket."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from waiting import PATIENCE_S
from websockets.sync.client import ClientConnection, connect

from dashboard.app import create_app
from dashboard.forwarding import api_of
from dashboard.live import Pages
from dataflows.settings import Settings

pytestmark = pytest.mark.integration

CONTROLS = {"source": "*", "range": "300", "scheme": "light", "zone": "UTC", "visible": True}


class FakePage:
    """A page that answers what the server asks and remembers what it is sent."""

    def __init__(self, link: ClientConnection, output: str, name: str = "page-1") -> None:
        self.link = link
        self.controls: Any = dict(CONTROLS)
        self.parts: Any = None
        self.props: dict[tuple[str, str], Any] = {}
        self.sent: list[tuple[str, str]] = []
        self.asked = 0
        self.ended = False
        state = [{"id": "page", "property": "data", "value": name}]
        payload = {"output": output, "outputs": [], "inputs": [], "state": state}
        request = {"type": "callback_request", "rendererId": name, "requestId": name}
        link.send(json.dumps(request | {"payload": payload | {"changedPropIds": []}}))

    def turn(self) -> None:
        """Take one message, which may be a batch."""
        messages = json.loads(self.link.recv(timeout=PATIENCE_S))
        for message in messages if isinstance(messages, list) else [messages]:
            if message["type"] == "get_props_request":
                self.asked += 1
                answer = {"type": "get_props_response", "requestId": message["requestId"]}
                asked = message["payload"]["componentId"]
                data = self.controls if asked == "controls" else self.parts
                self.link.send(json.dumps(answer | {"payload": {"data": data}}))
            elif message["type"] == "set_props":
                for name, value in message["payload"]["props"].items():
                    key = (message["payload"]["componentId"], name)
                    self.props[key] = value
                    self.sent.append(key)
                    if key == ("parts", "data"):
                        self.parts = value
                    elif isinstance(value, dict) and value.get("type") == "Graph":
                        # It comes into its place with its first figure.
                        self.props[value["props"]["id"], "figure"] = value["props"]["figure"]
            elif message["type"] == "callback_response":
                self.ended = True

    def until(self, key: tuple[str, str], value: Any = None) -> Any:
        """Take messages until something (or this value) has been sent for `key`."""
        for _ in range(400):
            if key in self.props and value in (None, self.props[key]):
                return self.props[key]
            self.turn()
        raise AssertionError(f"{key} was never {value}: {self.props.get(key)}")


@pytest.fixture
def url(redis_server: Any, clean_environment: Any) -> Iterator[str]:
    """A dashboard served by a thread of this process."""
    app: Any = create_app(redis_server.url, "sentistream:v1", None, api_of(Settings()))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: server.run(sockets=[listener]))
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(timeout=PATIENCE_S)
        assert not thread.is_alive()


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:  # noqa: S310
        body: bytes = answer.read()
        return body.decode()


@pytest.fixture
def output(url: str) -> str:
    """The name of the persistent callback."""
    dependencies = json.loads(get(f"{url}/_dash-dependencies"))
    (name,) = [item["output"] for item in dependencies if item.get("persistent")]
    # Dash restarts it after a lost connection only if it has no input.
    (inputs,) = [item["inputs"] for item in dependencies if item["output"] == name]
    assert inputs == []
    return str(name)


def open_socket(url: str) -> ClientConnection:
    return connect(url.replace("http", "ws") + "/_dash-ws-callback", origin=url, max_size=None)


def test_the_layout_is_complete_and_starts_empty(url: str) -> None:
    layout = get(f"{url}/_dash-layout")
    places = (f"{name}-area" for name in ("valence", "mix", "heat", "alerts", "feed", "pipeline"))
    ids = ("badge", "source", "range", "scheme", *places, "empty", "main")
    for name in ids:
        assert f'"id":"{name}"' in layout.replace(" ", "")
    for words in ("Art. 5(1)(f)", "Art. 50(3)", "No picture is stored", "expresses"):
        assert words in layout
    assert json.loads(get(f"{url}/healthz"))["status"] == "ok"


def test_a_page_gets_whole_charts_first_and_then_patches(
    url: str, output: str, writer: Any
) -> None:
    now = int(time.time())
    with open_socket(url) as link:
        page = FakePage(link, output)
        page.until(("status", "data"), {"state": "stale", "detail": "no event yet"})
        assert page.props["empty", "hidden"] is False
        writer.face("camera-1", now, "happiness")
        page.until(("empty", "hidden"), True)
        page.until(("status", "data"), {"state": "live", "detail": ""})
        figure = page.until(("valence", "figure"))
        assert figure["data"] == [] or len(figure["data"][2]["x"]) == 300
        page.until(("expression-value", "children"), "happiness")
        page.props.pop(("valence", "figure"))
        writer.face("camera-1", now + 1, "sadness")
        patch = page.until(("valence", "figure"))
        assert patch["__dash_patch_update"]
        while page.until(("feed-rows", "data"))[0]["kind"] != "sadness":
            page.turn()  # the feed comes after the charts


def test_charts_and_tables_come_once_the_line_first(url: str, output: str, writer: Any) -> None:
    now = int(time.time())
    writer.face("camera-1", now, "happiness")
    with open_socket(url) as link:
        page = FakePage(link, output)
        page.until(("expression-value", "children"), "happiness")
        areas = [name for name, kind in page.sent if name.endswith("-area") and kind == "children"]
        parts = ("valence", "mix", "share", "heat", "flow", "alerts", "feed")
        assert areas == [f"{name}-area" for name in parts]
        seen = page.parts
    # After a new connection the page still has them.
    with open_socket(url) as link:
        page = FakePage(link, output)
        page.parts = seen
        page.until(("expression-value", "children"), "happiness")
        assert ("valence", "figure") in page.sent
        assert ("valence-area", "children") not in page.sent


def test_old_events_that_flow_are_live_and_the_axis_ends_at_the_newest(
    url: str, output: str, writer: Any
) -> None:
    then = int(time.time()) - 3 * 86_400
    with open_socket(url) as link:
        page = FakePage(link, output)
        page.until(("status", "data"), {"state": "stale", "detail": "no event yet"})
        writer.face("camera-1", then)
        page.until(("status", "data"), {"state": "live", "detail": ""})
        assert page.until(("age-value", "children"), "3\u202fd")
        figure = page.until(("valence", "figure"))
        assert figure["data"][2]["x"][-1] == then * 1000


def test_choices_change_what_is_sent(url: str, output: str, writer: Any) -> None:
    now = int(time.time())
    writer.face("camera-1", now, "happiness")
    writer.face("camera-2", now, "anger")
    writer.face("camera-2", now, "anger")
    with open_socket(url) as link:
        page = FakePage(link, output)
        page.until(("expression-value", "children"), "anger")
        page.controls = CONTROLS | {"source": "camera-1", "range": "60", "scheme": "dark"}
        page.props.pop(("valence", "figure"))
        page.until(("expression-value", "children"), "happiness")
        figure = page.until(("valence", "figure"))
        assert len(figure["data"][2]["x"]) == 60
        assert [row["source"] for row in page.props["feed-rows", "data"]] == ["camera-1"]


def test_what_is_chosen_meanwhile_comes_before_the_rest_of_the_charts(
    url: str, output: str, writer: Any
) -> None:
    writer.face("camera-1", int(time.time()), "happiness")
    with open_socket(url) as link:
        page = FakePage(link, output)
        page.until(("valence", "figure"))
        page.controls = CONTROLS | {"range": "60"}
        page.until(("share", "figure"))
        charts = [
            name
            for name, prop in page.sent
            if prop == "figure" or (prop == "children" and name.endswith("-area"))
        ]
        first, second, *rest = (name.removesuffix("-area") for name in charts)
        assert (first, second) == ("valence", "valence")
        assert rest[:2] == ["mix", "share"]
        assert len(page.props["valence", "figure"]["data"][2]["x"]) == 60


def test_a_hidden_page_is_sent_nothing_until_it_is_seen_again(
    url: str, output: str, writer: Any
) -> None:
    writer.face("camera-1", time.time(), "happiness")
    with open_socket(url) as link:
        page = FakePage(link, output)
        page.controls = CONTROLS | {"visible": False}
        # It is asked for its choices and its parts, and again when it is known to be hidden.
        while page.asked < 3:
            page.turn()
        writer.face("camera-1", time.time(), "sadness")
        while page.asked < 4:
            page.turn()
        assert page.sent == []
        page.controls = dict(CONTROLS)
        page.until(("expression-value", "children"), "happiness")


def test_what_has_changed_wakes_the_pages_that_can_be_seen() -> None:
    pages = Pages()
    seen, hidden = pages.open("seen"), pages.open("hidden")
    hidden.visible = False
    pages.wake()
    assert seen.wake.is_set()
    assert not hidden.wake.is_set()
    pages.wake("hidden")  # it has become visible, or its viewer has chosen something
    assert hidden.wake.is_set()


def test_a_page_that_connects_again_replaces_its_former_self(
    url: str, output: str, writer: Any
) -> None:
    writer.face("camera-1", time.time(), "happiness")
    with open_socket(url) as first, open_socket(url) as second:
        before = FakePage(first, output)
        before.until(("expression-value", "children"), "happiness")
        after = FakePage(second, output)
        after.until(("expression-value", "children"), "happiness")
        for _ in range(50):
            if before.ended:
                break
            before.turn()
        assert before.ended
        asked = after.asked
        while after.asked < asked + 2:
            after.turn()
        assert not after.ended


def test_whatever_a_page_answers_the_server_goes_on(url: str, output: str, writer: Any) -> None:
    writer.face("camera-1", time.time(), "happiness")
    with open_socket(url) as link:
        page = FakePage(link, output)
        for nonsense in (None, [], 7, {"source": {}, "range": "x", "zone": "../etc/passwd"}):
            page.controls = nonsense
            asked = page.asked
            while page.asked < asked + 1:
                page.turn()
        page.until(("expression-value", "children"), "happiness")
        assert not page.ended

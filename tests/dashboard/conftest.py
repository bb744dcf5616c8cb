"""A Redis of one's own, a small writer that keeps the Redis contract, and a dashboard process."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from browsing import Camera
from chromium import ARGUMENTS, CHROMIUM, patient
from redis import Redis
from waiting import PATIENCE_S

from dataflows.keys import ALL_SOURCES, Keys
from dataflows.panes import EMPTY, Pane
from infra import embedded
from infra.ports import LOOPBACK, Ports
from infra.supervisor import Supervisor
from models.observation import EXPRESSIONS, observe_face

ROOT = Path(__file__).resolve().parents[2]
# The browser's own words when a server is killed, or asks to log in: what the tests do to it.
EXPECTED_ERRORS = ("net::ERR_", "WebSocket", "status of 401", "status of 429")


class Writer:
    """Writes panes, updates, sources, predictions and heartbeats as the stream would."""

    def __init__(self, url: str) -> None:
        self.client: Any = Redis.from_url(url, decode_responses=True)
        self.keys = Keys()
        self._panes: dict[tuple[str, int], Pane] = {}
        self._coarse: dict[tuple[str, int, int], Pane] = {}

    def face(self, source: str, time_s: float, emotion: str = "happiness") -> None:
        """One event with one face."""
        probabilities = [0.8 if name == emotion else 0.2 / 6 for name in EXPRESSIONS]
        observation = observe_face(probabilities)
        added = Pane.of([observation])
        for name in (source, ALL_SOURCES):
            self.pane(name, int(time_s), self._panes.get((name, int(time_s)), EMPTY).merge(added))
        self.seen(source, time_s)
        self.seen(ALL_SOURCES, time_s)
        moment = datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds")
        record = {
            "id": f"{source}/{time_s}",
            "source": source,
            "time": moment.replace("+00:00", "Z"),
            "faces": [
                {
                    "box": None,
                    "emotion": observation.expression,
                    "confidence": 0.8,
                    "probabilities": dict(zip(EXPRESSIONS, probabilities, strict=True)),
                    "valence": observation.valence / 1000,
                }
            ],
            "text": None,
            "sentiment": observation.sentiment,
            "valence": observation.valence / 1000,
            "models": {"face": "1.0.0", "text": None},
        }
        self.client.xadd(self.keys.events, {"prediction": json.dumps(record)}, maxlen=500)

    def pane(self, source: str, bucket: int, pane: Pane) -> None:
        """One absolute pane, in the hashes of all resolutions and on the stream of updates."""
        change = pane.subtract(self._panes.get((source, bucket), EMPTY))
        self._panes[source, bucket] = pane
        self.client.hset(self.keys.pane(1, source, bucket), str(bucket), pane.encode())
        for size in (10, 60):
            start = bucket // size * size
            sums = self._coarse.get((source, size, start), EMPTY).merge(change)
            self._coarse[source, size, start] = sums
            self.client.hset(self.keys.pane(size, source, start), str(start), sums.encode())
        fields = {"source": source, "bucket": bucket, "pane": pane.encode()}
        self.client.xadd(self.keys.updates, fields, maxlen=100_000, approximate=True)

    def seen(self, source: str, time_s: float) -> None:
        """The newest event time of a source."""
        self.client.zadd(self.keys.sources, {source: int(time_s * 1000)}, gt=True)

    def alert(self, rule: str, source: str, started: int, ended: int | None = None) -> None:
        """An alert, or its end."""
        fields = {
            "id": f"{rule}/{source}/{started}",
            "rule": rule,
            "source": source,
            "state": "firing" if ended is None else "resolved",
            "started": started,
            "ended": "" if ended is None else ended,
            "value": -0.42,
            "baseline": 0.31,
        }
        self.client.xadd(self.keys.alerts, fields, maxlen=1000)

    def heartbeat(self, worker: str = "w0") -> None:
        """A worker's heartbeat."""
        key = self.keys.worker(worker)
        fields = {"events_per_s": 4, "latency_p95": 120.4, "lag": 7, "models": "{}"}
        self.client.hset(key, mapping=fields)
        self.client.expire(key, 10)

    def forget(self) -> None:
        """Start anew, as after a Redis that lost its data."""
        self._panes.clear()
        self._coarse.clear()


class RedisServer:
    """A server that can be stopped and started again, empty, on the same port."""

    def __init__(self, port: int, supervisor: Supervisor, directory: Path) -> None:
        self.url = f"redis://{LOOPBACK}:{port}/0"
        self._program = embedded.redis_server(port, directory)
        self._supervisor = supervisor

    def start(self) -> None:
        self._supervisor.start(self._program)

    def stop(self) -> None:
        self._supervisor.stop()


class Dashboard:
    """A dashboard process."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dashboard"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log: list[str] = []
        assert self.process.stderr is not None
        assert self.process.stdout is not None
        # Read for as long as it runs, so that it never blocks on a full pipe.
        self._reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr or ()))
        self._reader.start()
        line = self.process.stdout.readline()
        found = re.search(r"http://\S+", line)
        if found is None:
            self.stop()
            raise AssertionError(f"the dashboard did not start: {line!r} {self.log}")
        self.url = found.group()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            status = self.process.wait(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self._reader.join(timeout=PATIENCE_S)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        return status


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    with Ports() as ports, Supervisor(tmp_path) as supervisor:
        server = RedisServer(ports.free(), supervisor, tmp_path)
        server.start()
        yield server


@pytest.fixture
def writer(redis_server: RedisServer) -> Iterator[Writer]:
    writer = Writer(redis_server.url)
    yield writer
    writer.client.close()


@pytest.fixture
def start_dashboard() -> Iterator[Callable[..., Dashboard]]:
    """A function that starts a dashboard with these settings (names without the prefix)."""
    with contextlib.ExitStack() as stack:

        def start(**settings: str) -> Dashboard:
            environment = {k: v for k, v in os.environ.items() if not k.startswith("SENTISTREAM_")}
            environment["PYTHONPATH"] = str(ROOT)
            settings = {"DASHBOARD__PORT": "0"} | settings
            environment |= {f"SENTISTREAM_{name}": value for name, value in settings.items()}
            dashboard = Dashboard(environment)
            stack.callback(dashboard.stop)
            return dashboard

        yield start


@pytest.fixture
def camera(writer: Any) -> Iterator[Callable[[], Camera]]:
    running: list[Camera] = []

    def start() -> Camera:
        running.append(Camera(writer))
        running[-1].start()
        return running[-1]

    yield start
    for one in running:
        one.stop()


@pytest.fixture
def problems() -> list[str]:
    """What `page` has complained of; the test fails when something is left at its end."""
    return []


@pytest.fixture
def browser_arguments() -> list[str]:
    """What the browser is started with beside the usual; a module may have its own."""
    return []


@pytest.fixture
def page(problems: list[str], browser_arguments: list[str]) -> Iterator[Any]:
    """A page that must not report an error, break its policy, or ask another server anything."""
    playwright_api = pytest.importorskip("playwright.sync_api")

    def heed(message: Any) -> None:
        told = "Content Security Policy" in message.text or "Permissions" in message.text
        expected = any(text in message.text for text in EXPECTED_ERRORS)
        # A warning tells of a component that the server fills and the page does not have.
        missing = "not found in layout" in message.text
        if told or missing or (message.type == "error" and not expected):
            problems.append(f"{message.text} ({message.location.get('url', '')})")

    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=[*ARGUMENTS, *browser_arguments]
        )
        size = {"width": 1280, "height": 900}
        page = patient(
            browser.new_page(viewport=size, color_scheme="light", timezone_id="Asia/Tokyo")
        )
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", heed)
        page.expose_function("reportViolation", lambda text: problems.append(f"violation: {text}"))
        page.add_init_script(
            "addEventListener('securitypolicyviolation', event => reportViolation("
            "`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}`));"
        )
        page.on(
            "request",
            lambda request: (
                None if "127.0.0.1" in request.url else problems.append(f"asks {request.url}")
            ),
        )
        yield page
        browser.close()
    assert problems == []

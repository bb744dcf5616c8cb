"""How long the dashboard's badge takes to tell that a part has gone, and that it is back.

Runs a broker, Redis, the flow and the dashboard, all real, and a producer of events that need no
model; looks at the page in a browser; and kills Redis, the dashboard and the flow (SIGKILL) one
after the other, starting each again once the badge has told.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import redis
from bytewax.recovery import init_db_dir
from confluent_kafka import Producer

from dataflows.keys import Keys
from dataflows.settings import Settings
from dataflows.topics import ensure_topics
from infra.embedded import broker, redis_server
from infra.ports import LOOPBACK, Ports
from infra.supervisor import Program

__all__ = ["BadgeTime", "badge_times"]

ROOT: Final = Path(__file__).parents[1]
# The badge that each loss is to show.
EXPECTED: Final = {"redis": "disconnected", "dashboard": "disconnected", "flow": "stale"}
EVENT: Final = json.dumps({"emotions": [{"happiness": 0.8, "neutral": 0.2}]}).encode()
EVENTS_PER_S: Final = 5
SETTLED_S: Final = 5.0  # live, before something is killed
PATIENCE_S: Final = 120.0
POLL_S: Final = 0.05
# Notes when the badge changes, by the clock that this process has too (all on one machine).
WATCH: Final = """() => {
  const badge = document.getElementById("badge");
  window.badges = [];
  const note = () => window.badges.push([Date.now() / 1000, badge.dataset.state]);
  new MutationObserver(note).observe(badge, {attributes: true, attributeFilter: ["data-state"]});
}"""


class BadgeTime(NamedTuple):
    """What the badge did about one part; all in seconds.

    Attributes:
        part: what was killed.
        state: the badge that was to come.
        told_s: from the kill to that badge.
        ready_s: from the new start to the first answer (of the flow: its first heartbeat).
        live_s: from that answer to the badge "live".
    """

    part: str
    state: str
    told_s: float
    ready_s: float
    live_s: float


class _Part:
    """A program that can be killed and started again."""

    def __init__(self, program: Program, folder: Path) -> None:
        self._program, self._log = program, folder / f"{program.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it, wait until it answers, and return how long that took (s)."""
        began = time.monotonic()
        environment = {**os.environ, **self._program.env}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._program.argv,
                stdout=log,
                stderr=log,
                env={name: value for name, value in environment.items() if value is not None},
            )
        _wait(self._program.ready, f"{self._program.name} answers; see {self._log}")
        return time.monotonic() - began

    def kill(self) -> float:
        """Kill it and return when (epoch s)."""
        at = time.time()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        return at


def badge_times(browser: Any) -> Iterator[BadgeTime]:  # noqa: ANN401 - Playwright's
    """Yield how long the badge of a page in `browser` took, for each part."""
    with _world() as (url, parts):
        page = browser.new_page(bypass_csp=True)
        page.goto(url)
        page.wait_for_selector('#badge[data-state="live"]', timeout=PATIENCE_S * 1000)
        page.evaluate(WATCH)
        for name, state in EXPECTED.items():
            page.wait_for_timeout(SETTLED_S * 1000)
            killed_at = parts[name].kill()
            told_at = _seen(page, state, killed_at)
            ready_s = parts[name].start()
            ready_at = time.time()
            # It may be live before the first answer that we have waited for.
            live_at = _seen(page, "live", told_at)
            yield BadgeTime(name, state, told_at - killed_at, ready_s, max(0.0, live_at - ready_at))
        page.close()


def _seen(page: Any, state: str, after: float) -> float:  # noqa: ANN401
    """Return when the badge first had a state after a moment (epoch s)."""
    found: list[float] = []

    def look() -> bool:
        page.wait_for_timeout(POLL_S * 1000)
        found[:] = [at for at, s in page.evaluate("window.badges") if s == state and at > after]
        return bool(found)

    _wait(look, f"the badge says {state}")
    return found[0]


@contextmanager
def _world() -> Iterator[tuple[str, Mapping[str, _Part]]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports = stack.enter_context(Ports())
        kafka, store, port = ports.free(), ports.free(), ports.free()
        environment = {
            "SENTISTREAM_KAFKA__BROKERS": f"{LOOPBACK}:{kafka}",
            "SENTISTREAM_REDIS__URL": f"redis://{LOOPBACK}:{store}/0",
            "SENTISTREAM_DASHBOARD__PORT": str(port),
            "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
            "BYTEWAX_DATAFLOW_API_ENABLED": None,
        }
        client = stack.enter_context(redis.Redis(port=store))
        programs = {
            "broker": broker(kafka),
            "redis": redis_server(store, folder),
            "flow": _flow(folder, environment, client),
            "dashboard": Program(
                "dashboard",
                [sys.executable, "-m", "dashboard"],
                lambda: _answers(port),
                environment,
            ),
        }
        parts = {name: _Part(program, folder) for name, program in programs.items()}
        for part in parts.values():
            stack.callback(part.kill)
        for name in ("broker", "redis"):
            parts[name].start()
        ensure_topics(Settings.model_validate({"kafka": {"brokers": f"{LOOPBACK}:{kafka}"}}))
        stack.enter_context(_producing(f"{LOOPBACK}:{kafka}"))
        for name in ("flow", "dashboard"):
            parts[name].start()
        yield f"http://{LOOPBACK}:{port}", parts


def _flow(folder: Path, environment: Mapping[str, str | None], client: redis.Redis) -> Program:
    recovery = folder / "recovery"
    recovery.mkdir(mode=0o700)
    init_db_dir(recovery, 1)  # type: ignore[no-untyped-call]
    flow = [sys.executable, "-m", "bytewax.run", str(ROOT / "dataflows/sentiment.py")]
    started: list[float] = []

    def beats() -> bool:
        # An older one of the killed process may still be there, so what counts is when it began.
        keys = client.keys(Keys().worker("*"))
        begun = [float(client.hget(key, "started") or 0) for key in keys]
        newest = max(begun, default=0.0)
        if newest <= max(started, default=0.0):
            return False
        started.append(newest)
        return True

    return Program("flow", [*flow, "-r", str(recovery), "-s", "1", "-b", "0"], beats, environment)


@contextmanager
def _producing(brokers: str) -> Iterator[None]:
    """Send events meanwhile."""
    over = threading.Event()
    client = Producer({"bootstrap.servers": brokers})

    def send() -> None:
        while not over.wait(1 / EVENTS_PER_S):
            client.produce(Settings().kafka.topic, EVENT, key="camera-1")
            client.poll(0)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        client.purge()


def _answers(port: int) -> bool:
    from urllib.error import URLError
    from urllib.request import urlopen

    try:
        with urlopen(f"http://{LOOPBACK}:{port}/healthz", timeout=1):
            return True
    except (URLError, OSError):
        return False


def _wait(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > until:
            raise SystemExit(f"error: it never came that {what}")
        time.sleep(POLL_S)

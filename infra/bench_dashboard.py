"""How quick the dashboard is: `python -m infra.bench_dashboard`, or `make bench-dashboard`.

Runs the dashboard over a Redis of its own with a day of history of 50 sources, and looks at it in a
real Chromium, all on this machine. Prints one JSON line per measurement with its goal, whether it
is met, and the load of the machine; nothing fails when it is not.

- **redraw**: from the write of a new second to Redis until Chromium has drawn it, one page that has
  had all of its charts and tables for a second.
- **first paint**: from the request of the page, in a browser that has nothing of it yet, until the
  line chart of valence with the day's 720 points stands in the document. The first time the
  dashboard has just started, and has none of the day's panes in memory.
- **switch**: from the choice of another range until it is drawn.
- **server**: CPU time of the dashboard process per second with ten pages and one write a second.
- **clients**: as many plain websockets that answer as pages do; the fewest messages of one.
- **badge**, **back**: from the kill of Redis, the dashboard and a real flow until the badge says
  so, and from the first answer of each after its new start until the badge is live again.
- **an hour** (`--minutes`): 50 sources with 10 events a second each: growth of what page and server
  hold, and the steps between drawn points.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import redis

from dataflows.keys import Keys
from infra.badge_times import badge_times
from infra.dashboard_hour import points, samples
from infra.dashboard_load import Feeder, fill, serve_clients, writing
from infra.embedded import redis_server
from infra.ports import LOOPBACK, Ports
from infra.supervisor import Program, Supervisor

__all__ = ["main"]

SOURCES: Final = 50
PAGES: Final = 10
CLIENTS: Final = 100
EVENTS: Final = 10  # of each source in a second, in the hour
FEED: Final = 50  # of all of them go to the feed
RANGES: Final = (300, 3600, 86_400, 900, 21_600, 604_800)
CHROMIUM: Final = "/usr/bin/chromium"
LINE: Final = "document.querySelector('#valence .js-plotly-plot')"
# The mean is the last of the lines, and has a path once Plotly has drawn it.
PAINTED: Final = (
    f"{LINE}?.data?.[2]?.x?.length === 720"
    f" && {LINE}.querySelector('.scatterlayer .trace:last-child path.js-line')?.getAttribute('d')"
)
DRAWN: Final = f"({LINE}?.data?.[2]?.x?.at(-1) ?? 0)"
WHOLE: Final = "#feed .ag-root"  # the last part that comes
# Notes when each newest point was first drawn. (Playwright evaluates text in the page, so the pages
# here are opened without their content security policy.)
WATCH: Final = f"""() => {{
  const plot = {LINE};
  window.drawnAt = {{}};
  plot.on("plotly_afterplot", () => {{
    const newest = plot.data[2].x.at(-1);
    window.drawnAt[newest] ??= Date.now();
  }});
}}"""


def main(arguments: list[str]) -> int:
    """Measure, print, and return 0."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.bench_dashboard",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=int, default=60, help="of each measurement")
    parser.add_argument("--minutes", type=int, default=0, help="that one page stays open")
    options = parser.parse_args(arguments)
    with world() as (url, pid, feeder):
        with chromium() as browser:
            if options.minutes:
                feeder = feeder.busy(events=EVENTS, feed=FEED)
                stay(browser, url, pid, feeder, options.minutes)
                return 0
            first_paint(browser, url)
            switches(browser, url)
            redraw(browser, url, feeder, options.seconds)
            server(browser, url, pid, feeder, options.seconds)
        clients(url, feeder, options.seconds)
    with chromium() as browser:
        badges(browser)
    return 0


@contextmanager
def world() -> Iterator[tuple[str, int, Feeder]]:
    """Run Redis and the dashboard; yield its address, its process and a writer."""
    with (
        tempfile.TemporaryDirectory() as name,
        Ports() as ports,
        Supervisor(Path(name)) as supervisor,
    ):
        redis_port, port = ports.free(), ports.free()
        supervisor.start(redis_server(redis_port, Path(name)))
        client = redis.Redis(port=redis_port)
        sources = [f"camera-{number:02}" for number in range(SOURCES)]
        fill(client, Keys(), sources, int(time.time()))
        environment = {
            "SENTISTREAM_REDIS__URL": f"redis://{LOOPBACK}:{redis_port}/0",
            "SENTISTREAM_DASHBOARD__PORT": str(port),
        }
        supervisor.start(
            Program(
                name="dashboard",
                argv=[sys.executable, "-m", "dashboard"],
                env={**os.environ, **environment},
                ready=lambda: _listens(port),
            )
        )
        yield (
            f"http://{LOOPBACK}:{port}",
            supervisor.pid("dashboard"),
            Feeder(client, Keys(), sources),
        )


@contextmanager
def chromium() -> Iterator[Any]:
    """Run a browser without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


def first_paint(browser: Any, url: str) -> None:  # noqa: ANN401
    """Open the page with a day shown, in a new context each time."""
    took = []
    for _ in range(5):
        page = browser.new_page(bypass_csp=True)
        began = time.perf_counter()
        page.goto(f"{url}/?range=86400")
        page.wait_for_function(PAINTED, polling=10)
        took.append(time.perf_counter() - began)
        page.close()
    # The first one also reads the panes of all sources from Redis.
    tell("first paint", first_s=took[0], goal_s=1.5, met=took[0] <= 1.5, later_s=_median(took[1:]))


def switches(browser: Any, url: str) -> None:  # noqa: ANN401
    """Choose every range, twice: the second time its panes are in the dashboard's memory."""
    page = browser.new_page(bypass_csp=True)
    page.goto(url)
    page.wait_for_function(f"{DRAWN} > 0")
    for when in ("first", "again"):
        took = []
        for seconds in RANGES:
            page.evaluate(f"window.dash_clientside.set_props('range', {{value: '{seconds}'}})")
            took.append(_switched(page, seconds))
        tell("switch", when=when, longest_s=max(took), goal_s=0.5, met=max(took) <= 0.5)
    page.close()


def _switched(page: Any, seconds: int) -> float:  # noqa: ANN401
    began = time.perf_counter()
    page.wait_for_function(
        f"{LINE}.layout.uirevision === '{seconds} None'", polling=10, timeout=30_000
    )
    return time.perf_counter() - began


def redraw(browser: Any, url: str, feeder: Feeder, seconds: int) -> None:  # noqa: ANN401
    """Write a second a second, and see when each is drawn."""
    page = browser.new_page(bypass_csp=True)
    page.goto(url)
    page.wait_for_function(f"{DRAWN} > 0")
    page.wait_for_selector(WHOLE)
    page.wait_for_timeout(1000)
    page.evaluate(WATCH)
    written = {}
    second = int(time.time()) + 1
    for _ in range(seconds):
        written[second * 1000] = feeder.write(second) * 1000
        second += 1
        page.wait_for_timeout(1000)
    drawn = {int(at): moment for at, moment in page.evaluate("window.drawnAt").items()}
    page.close()
    took = sorted(drawn[at] - moment for at, moment in written.items() if at in drawn)
    middle, slow = took[len(took) // 2], took[min(len(took) - 1, int(len(took) * 0.99))]
    tell(
        "redraw", writes=len(written), drawn=len(took), p50_ms=middle, goal_ms=60, met=middle <= 60
    )
    tell("redraw", p99_ms=slow, goal_ms=200, met=slow <= 200)


def server(browser: Any, url: str, pid: int, feeder: Feeder, seconds: int) -> None:  # noqa: ANN401
    """Keep ten pages open while something is written each second."""
    pages = [browser.new_page(bypass_csp=True) for _ in range(PAGES)]
    for page in pages:
        page.goto(url)
    for page in pages:
        page.wait_for_function(f"{DRAWN} > 0")
    with writing(feeder):
        time.sleep(3)
        share = _cpu_share(pid, seconds)
    for page in pages:
        page.close()
    tell("server", pages=PAGES, cpu_share=share, goal=0.1, met=share <= 0.1)


def clients(url: str, feeder: Feeder, seconds: int) -> None:
    """Let many plain clients follow."""
    with writing(feeder):
        received = serve_clients(url, CLIENTS, seconds)
    fewest = min(received)
    tell("clients", clients=len(received), fewest_messages=fewest, met=fewest >= seconds)


def stay(browser: Any, url: str, pid: int, feeder: Feeder, minutes: int) -> None:  # noqa: ANN401
    """Keep one page open, and look at what it and the server hold, and at its points."""
    page = browser.new_page(bypass_csp=True)
    page.goto(f"{url}/?range=3600")
    page.wait_for_function(f"{DRAWN} > 0")
    with writing(feeder):
        held = []
        for sample in samples(page, pid, minutes):
            held.append(sample)
            tell("held", **sample._asdict())
        count, steps = points(page, LINE)
    for name in ("heap_mb", "server_mb"):
        first, last = (getattr(held[place], name) for place in (0, -1))
        growth = last / first - 1
        tell("an hour", minutes=minutes, of=name, growth=growth, goal=0.1, met=growth < 0.1)
    tell("an hour", points=count, steps_ms=steps, met=len(steps) == 1)


def badges(browser: Any) -> None:  # noqa: ANN401
    """Kill each part, and see how soon the badge tells, and is live again."""
    for part, state, told_s, ready_s, live_s in badge_times(browser):
        tell("badge", killed=part, state=state, told_s=told_s, goal_s=6, met=told_s <= 6)
        tell("back", part=part, start_s=ready_s, live_s=live_s, goal_s=10, met=live_s <= 10)


def _cpu_share(pid: int, seconds: int) -> float:
    before = _cpu_s(pid)
    time.sleep(seconds)
    return (_cpu_s(pid) - before) / seconds


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def tell(what: str, **figures: object) -> None:
    """Print a measurement with the load of the machine (1 min average)."""
    rounded = {n: round(v, 3) if isinstance(v, float) else v for n, v in figures.items()}
    print(json.dumps({"what": what, **rounded, "load": round(os.getloadavg()[0], 2)}), flush=True)
    gc.collect()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Pictures of the dashboard for the README: `python -m infra.screenshots`, or `make screenshots`.

Runs the demo for a while and photographs the live page in a real Chromium, light and dark. No face
is on the page: it shows figures only.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

import dashboard
from infra.ports import LOOPBACK, Ports

__all__ = ["main"]

FOLDER: Final = Path(dashboard.__file__).parent / "screenshots"
CHROMIUM: Final = "/usr/bin/chromium"
WIDTH, HEIGHT = 1440, 1010
FILL_S: Final = 75  # until a minute is full
START_S: Final = 180
STOP_S: Final = 60


def main() -> int:
    """Run the demo, take the pictures, and return 0."""
    from playwright.sync_api import sync_playwright

    with Ports() as ports:
        port = ports.free()
    url = f"http://{LOOPBACK}:{port}"
    run = "from infra.cli import app; app()"
    command = [sys.executable, "-c", run, "up", "--demo", "--port", str(port)]
    demo = subprocess.Popen(command)
    try:
        _wait(demo, url)
        time.sleep(FILL_S)
        FOLDER.mkdir(exist_ok=True)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
            )
            for scheme in ("light", "dark"):
                page = browser.new_page(
                    viewport={"width": WIDTH, "height": HEIGHT},
                    color_scheme="dark" if scheme == "dark" else "light",
                )
                page.goto(f"{url}/?range=60")
                page.wait_for_selector('#badge[data-state="live"]')
                page.wait_for_selector("#heat .main-svg")
                page.wait_for_timeout(6000)
                page.screenshot(path=FOLDER / f"{scheme}.png")
                page.close()
            browser.close()
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait(STOP_S)
    return 0


def _wait(demo: subprocess.Popen[bytes], url: str) -> None:
    """Wait until the dashboard answers."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if demo.poll() is not None:
            raise SystemExit("error: the demo has ended")
        try:
            with urlopen(f"{url}/healthz"):  # noqa: S310 - our own server
                return
        except URLError:
            time.sleep(1)
    raise SystemExit(f"error: the demo was not there within {START_S} s")


if __name__ == "__main__":
    sys.exit(main())

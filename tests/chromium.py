"""How the tests start Debian's Chromium."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # Nothing but the page under test is to be asked for anything.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 60_000  # nothing here is about speed
POLL_MS = 50


def patient(page: Any) -> Any:
    """Return a Playwright page that waits for long, and whose `wait_for_function` asks from here.

    Playwright's own evaluates text again and again within the page, where the content security
    policy of the dashboard rightly forbids it.
    """

    def wait_for_function(expression: str, *, arg: Any = None) -> None:
        end = time.monotonic() + PATIENCE_MS / 1000
        while not page.evaluate(expression, arg):
            if time.monotonic() > end:
                raise AssertionError(f"never came true: {expression}")
            page.wait_for_timeout(POLL_MS)

    page.set_default_timeout(PATIENCE_MS)
    page.wait_for_function = wait_for_function
    return page

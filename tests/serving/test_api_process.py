"""`python -m serving` as a user starts it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from waiting import PATIENCE_S

from dataflows.settings import Settings

pytestmark = pytest.mark.integration

COMMAND = [sys.executable, "-m", "serving"]
ROOT = Path(__file__).parents[2]


def test_it_says_where_it_listens_and_ends_in_order(
    settings: Settings, clean_environment: pytest.MonkeyPatch, photo: bytes
) -> None:
    clean_environment.setenv("SENTISTREAM_API__PORT", "0")
    with subprocess.Popen(COMMAND, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert address is not None, line
        answer = httpx.post(f"{address[0]}/v1/predict", content=photo, timeout=PATIENCE_S)
        assert len(answer.json()["faces"]) == 1
        process.send_signal(signal.SIGTERM)
    assert process.returncode in (0, -signal.SIGTERM)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("HOST", "0.0.0.0", "SENTISTREAM_API__TOKEN"),  # noqa: S104 - it is refused
        ("HOSTT", "x", "SENTISTREAM_API__HOST"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    clean_environment: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    env = {**os.environ, f"SENTISTREAM_API__{variable}": value}
    done = subprocess.run(COMMAND, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1

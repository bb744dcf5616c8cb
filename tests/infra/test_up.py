"""`sentistream up` as a user runs it: real servers, the real flow, the real dashboard."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from waiting import PATIENCE_S, wait_for

from dataflows.clients import producer
from dataflows.settings import Settings
from infra.offsets import OffsetReader
from infra.up import Options, up

pytestmark = pytest.mark.integration

COMMAND = [sys.executable, "-c", "from infra.cli import app; app()", "up"]
FIGURES = {
    "events", "observations", "texts",
    "surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral",
}  # fmt: skip


class Stack:
    """One run of the command, told from all others by its folder for temporary files."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        directory.mkdir()
        self.directory = directory
        self.seen: set[tuple[int, str]] = set()
        self.errors = directory.with_suffix(".stderr")
        with self.errors.open("wb") as stderr:
            self.process = subprocess.Popen(
                [*COMMAND, *arguments],
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, "TMPDIR": str(directory)},
                text=True,
            )

    def end(self) -> tuple[int, str, str]:
        """Wait for the end; return exit code, standard output and standard error."""
        output, _ = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, output, self.errors.read_text()

    def wait_for(self, words: str) -> None:
        """Wait until standard error holds these words."""

        def check() -> None:
            assert self.process.poll() is None, self.errors.read_text()

        wait_for(
            lambda: words in self.errors.read_text(),
            lambda: f"{words!r} is not in {self.errors.read_text()!r}",
            check,
            PATIENCE_S,
        )

    def processes(self) -> dict[int, str]:
        """Return command lines by process id of the command and all that it has started.

        They are known by their environment, or by having been a child of the command when this was
        called before: Redis overwrites its environment with a title.
        """
        mark = f"TMPDIR={self.directory}".encode()
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                state, parent, *rest = (folder / "stat").read_text().rpartition(")")[2].split()
                identity = (int(folder.name), rest[17])  # the start time tells a reused id
                marked = mark in (folder / "environ").read_bytes().split(b"\0")
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:  # it has ended meanwhile
                continue
            if state == "Z":
                continue
            if marked or int(parent) == self.process.pid or identity in self.seen:
                self.seen.add(identity)
                found[identity[0]] = line
        return found

    def find(self, words: str) -> int:
        """Return the id of the one process with these words in its command line."""
        (pid,) = [pid for pid, line in self.processes().items() if words in line]
        return pid


@pytest.fixture
def stacks(clean_environment: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Return a function that starts a stack; kills what a failed test has left."""
    started: list[Stack] = []

    def start(*arguments: str) -> Stack:
        started.append(Stack(tmp_path / f"stack-{len(started)}", *arguments))
        return started[-1]

    yield start
    for stack in started:
        for pid in stack.processes():
            os.kill(pid, signal.SIGKILL)
        stack.process.communicate()


def summary_of(output: str) -> dict[str, Any]:
    (line,) = output.splitlines()  # standard output is for the summary alone
    summary: dict[str, Any] = json.loads(line)
    return summary


def test_two_demos_run_side_by_side_and_account_for_every_event(
    stacks: Any, clean_environment: pytest.MonkeyPatch, bundles: Path
) -> None:
    """One with a model for texts, and so with a chat; one without."""
    cameras = {"camera-1", "camera-2", "camera-3", "group-photo"}
    clean_environment.setenv("SENTISTREAM_TEXT__BUNDLE", "none")
    without = stacks("--demo", "--seconds", "8")
    clean_environment.delenv("SENTISTREAM_TEXT__BUNDLE")
    clean_environment.setenv("SENTISTREAM_BUNDLES", str(bundles))
    both = [
        (without, cameras),
        (stacks("--demo", "--seconds", "8", "--workers", "2"), cameras | {"chat"}),
    ]
    addresses = set()
    for stack, _ in both:
        stack.wait_for("SentiStream is up")
        assert len(stack.processes()) >= 6
    for stack, sources in both:
        code, output, errors = stack.end()
        assert code == 0, errors
        summary = summary_of(output)
        assert summary["rejected"] == 0
        assert summary["events_in"] == summary["scored"] > 0
        assert set(summary["sources"]) == sources
        for figures in summary["sources"].values():
            assert set(figures) == FIGURES
            assert figures["observations"] == sum(
                figures[name] for name in FIGURES - {"events", "observations"}
            )
        for name in ("events", "observations"):
            total = summary["scored"] if name == "events" else summary["observations"]
            assert sum(figures[name] for figures in summary["sources"].values()) == total
        # Each frame has one face, and the photo has several.
        photo = summary["sources"]["group-photo"]
        for source, figures in summary["sources"].items():
            assert figures["texts"] == (figures["events"] if source == "chat" else 0)
        assert photo["observations"] > photo["events"]
        latency = summary["latency_ms"]
        assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"]
        addresses.add(summary["dashboard"])
        assert stack.processes() == {}
        assert list(stack.directory.iterdir()) == []
    assert len(addresses) == 2


def test_ctrl_c_stops_all_of_it(stacks: Any) -> None:
    stack = stacks("--workers", "2")
    stack.wait_for("SentiStream is up")
    addresses = {word for word in stack.errors.read_text().split() if word.startswith("http:")}
    assert len(addresses) == 2  # the dashboard, the API
    for address in addresses:
        with urllib.request.urlopen(f"{address}/healthz", timeout=PATIENCE_S) as answer:  # noqa: S310
            assert answer.status == 200
    assert len(stack.processes()) == 7  # itself, broker, Redis, two workers, API, dashboard
    stack.process.send_signal(signal.SIGINT)
    code, output, errors = stack.end()
    assert (code, output) == (0, ""), errors
    assert errors.rstrip().endswith("stopped")
    assert stack.processes() == {}
    assert list(stack.directory.iterdir()) == []


def test_ctrl_c_before_it_is_up_stops_all_of_it_too(stacks: Any) -> None:
    stack = stacks("--seconds", "60")
    wait_for(lambda: len(stack.processes()) >= 4)
    stack.process.send_signal(signal.SIGTERM)
    code, output, errors = stack.end()
    assert (code, output) == (130, ""), errors  # there is no summary, so it is no success
    assert stack.processes() == {}


def test_a_child_that_dies_is_named_and_the_rest_is_stopped(stacks: Any) -> None:
    stack = stacks()
    stack.wait_for("SentiStream is up")
    os.kill(stack.find("-m dashboard"), signal.SIGKILL)
    code, output, errors = stack.end()
    assert (code, output) == (1, "")
    assert "error: dashboard ended unexpectedly (by SIGKILL)" in errors
    assert stack.processes() == {}


def test_a_flow_that_dies_is_started_again_and_every_event_counts_once(stacks: Any) -> None:
    stack = stacks("--demo", "--workers", "2", "--seconds", "25")
    stack.wait_for("SentiStream is up")
    time.sleep(3)
    os.kill(stack.find(" -i 1 "), signal.SIGKILL)
    stack.wait_for("flow-1, flow-2: ready again")
    code, output, errors = stack.end()
    assert code == 0, errors
    assert "flow-1, flow-2 start again in 0.5 s (restart 1 of at most 5)" in errors
    summary = summary_of(output)
    assert summary["events_in"] == summary["scored"] > 0
    assert sum(figures["events"] for figures in summary["sources"].values()) == summary["scored"]
    assert stack.processes() == {}


def test_nothing_is_left_when_it_is_killed_itself(stacks: Any) -> None:
    stack = stacks()
    stack.wait_for("SentiStream is up")
    assert len(stack.processes()) == 6
    stack.process.kill()
    stack.end()
    wait_for(lambda: stack.processes() == {})


def test_at_the_limit_of_the_broker_the_producers_stop_and_the_rest_goes_on(stacks: Any) -> None:
    stack = stacks("--demo", "--broker-limit", "1")
    stack.wait_for("producers have stopped")
    errors = " ".join(stack.errors.read_text().split())
    assert "It keeps every record in memory" in errors
    assert "SENTISTREAM_KAFKA__BROKERS" in errors
    stack.find("sentiment.py")
    stack.find("-m dashboard")
    stack.process.send_signal(signal.SIGTERM)
    assert stack.end()[0] == 0


def test_given_servers_are_used_and_left_running(settings: Settings, stacks: Any) -> None:
    stack = stacks("--demo", "--seconds", "3")
    code, output, errors = stack.end()
    assert code == 0, errors
    assert "embedded" not in errors
    summary = summary_of(output)
    assert summary["scored"] > 0
    with OffsetReader(settings.kafka) as reader:
        for topic in (settings.kafka.topic, settings.kafka.predictions_topic):
            assert sum(reader.read(topic, "end").values()) == summary["scored"]


def test_a_prediction_too_many_is_no_success(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    over = threading.Event()

    def meddle() -> None:
        """Write a prediction of nothing, once the first true one is there."""
        topic = settings.kafka.predictions_topic
        with OffsetReader(settings.kafka) as reader:
            while not sum(reader.read(topic, "end").values()):
                if over.wait(0.1):
                    return
        client = producer(settings.kafka)
        client.produce(topic, b"{}")
        client.flush(10)

    meddler = threading.Thread(target=meddle)
    meddler.start()
    try:
        code = up(Options(demo=True, seconds=3, settle_s=5), Console(stderr=True))
    finally:
        over.set()
        meddler.join()
    assert code == 1
    output, errors = capsys.readouterr()
    summary = summary_of(output)
    assert summary["scored"] == summary["events_in"] + 1
    assert "error: 5 s without progress: " in errors

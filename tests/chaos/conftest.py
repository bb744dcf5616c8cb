"""How much chaos, and the table of what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import apache_kafka
import pytest
from streams import Stream
from world import World

FIGURES: Final = "chaos"  # the property by which figures come from the processes of the tests
ROWS: Final[list[tuple[str, dict[str, object]]]] = []


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Iterator[dict[str, object]]:
    """Return where a test leaves its figures, in the order of the table."""
    values: dict[str, object] = {}
    yield values
    request.node.user_properties.append((FIGURES, values))


@pytest.fixture
def world(environment: dict[str, str], kafka_brokers: str, tmp_path: Path) -> World:
    """Return an empty topic on a real Kafka, and its flow."""
    return World(Stream(environment | {"SENTISTREAM_KAFKA__BROKERS": kafka_brokers}), tmp_path)


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[apache_kafka.Kafka]:
    """Return a Kafka of this test alone, which may be killed."""
    directory = tmp_path / "kafka"
    directory.mkdir()
    with apache_kafka.running(directory) as kafka:
        yield kafka


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep the figures of a test that is done."""
    if report.when == "teardown":
        name = report.nodeid.rpartition("::")[2]
        ROWS.extend((name, values) for kind, values in report.user_properties if kind == FIGURES)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of figures, in Markdown."""
    if not ROWS:
        return
    form = "full" if terminalreporter.config.getoption("nightly") else "short"
    terminalreporter.section(f"chaos, {form} form")
    terminalreporter.write_line("| test | figures |")
    terminalreporter.write_line("|---|---|")
    for name, values in ROWS:
        text = ", ".join(f"{what}: {value}" for what, value in values.items())
        terminalreporter.write_line(f"| {name} | {text} |")

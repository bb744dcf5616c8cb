"""Servers and settings that the tests of all folders share.

The embedded broker and Redis are started at most once a run, and each test gets topics and keys of
its own. With REQUIRE_ALL_TESTS set, a skipped test fails, so that a run that is meant to be
complete cannot leave something out unseen.

Without `--nightly` a run is quick and tries the same on each machine: property tests take the same
examples, and what is marked `nightly` is left out.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import apache_kafka
import pytest
import text_bundles
from hypothesis import HealthCheck
from hypothesis import settings as properties
from waiting import PATIENCE_S

from dataflows.settings import Settings, get_settings, load_settings
from infra import embedded
from infra.ports import LOOPBACK, Ports
from infra.supervisor import Supervisor
from models.wheels import fetch

REQUIRE_ALL = "REQUIRE_ALL_TESTS"
ROOT = Path(__file__).parents[1]
ROOMS = ("models", "dataflows", "serving", "dashboard", "infra", "training")
T = TypeVar("T")
LONG = {"training", "chaos"}  # folders


class Servers(NamedTuple):
    """Where the embedded servers listen."""

    brokers: str
    redis_url: str


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Start the embedded broker and Redis; the supervisor and the kernel see to their end."""
    directory = tmp_path_factory.mktemp("servers")
    with Ports() as ports, Supervisor(directory) as supervisor:
        kafka, redis = ports.free(), ports.free()
        supervisor.start(embedded.broker(kafka), embedded.redis_server(redis, directory))
        yield Servers(f"{LOOPBACK}:{kafka}", f"redis://{LOOPBACK}:{redis}/0")
        supervisor.check()


@pytest.fixture(scope="session")
def kafka_brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a real Apache Kafka; skips where there is no Java or Maven to make one with."""
    with apache_kafka.running(tmp_path_factory.mktemp("kafka")) as kafka:
        yield kafka.brokers


@pytest.fixture
def pick(request: pytest.FixtureRequest) -> Callable[[T, T], T]:
    """Return what chooses between the nightly form of a test and its short one."""
    nightly = request.config.getoption("nightly")
    return lambda full, short: full if nightly else short


@pytest.fixture
def stop_s(pick: Callable[[float, float], float]) -> float:
    """Return within how long a flow has to end after a signal: as promised, on a quiet machine."""
    return pick(5.0, PATIENCE_S)


@pytest.fixture
def broker(servers: Servers) -> str:
    """Return the address of the embedded broker, `host:port`."""
    return servers.brokers


@pytest.fixture
def redis_url(servers: Servers) -> str:
    """Return the URL of the embedded Redis."""
    return servers.redis_url


@pytest.fixture
def topic_prefix() -> str:
    """Return a name that no other test uses."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def environment(
    servers: Servers, topic_prefix: str, clean_environment: pytest.MonkeyPatch
) -> dict[str, str]:
    """Point the settings at the embedded servers, with topics and keys of this test alone.

    The variables are set in this process, so children inherit them, and are returned as well.
    """
    variables = {
        "SENTISTREAM_KAFKA__BROKERS": servers.brokers,
        "SENTISTREAM_KAFKA__TOPIC": f"{topic_prefix}.events",
        "SENTISTREAM_KAFKA__PREDICTIONS_TOPIC": f"{topic_prefix}.predictions",
        "SENTISTREAM_KAFKA__DLQ_TOPIC": f"{topic_prefix}.dlq",
        "SENTISTREAM_KAFKA__ALERTS_TOPIC": f"{topic_prefix}.alerts",
        "SENTISTREAM_KAFKA__FEEDBACK_TOPIC": f"{topic_prefix}.feedback",
        "SENTISTREAM_REDIS__URL": servers.redis_url,
        "SENTISTREAM_REDIS__PREFIX": topic_prefix,
    }
    for name, value in variables.items():
        clean_environment.setenv(name, value)
    return variables


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    """Return the settings of this test's `environment`."""
    return load_settings()


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Take away every setting that the user's environment has; paths to data and cache stay."""
    kept = {"SENTISTREAM_CACHE", "SENTISTREAM_DATA", "SENTISTREAM_BUNDLES"}
    for name in os.environ.keys() - kept:
        if name.startswith("SENTISTREAM_"):
            monkeypatch.delenv(name)
    get_settings.cache_clear()
    yield monkeypatch
    get_settings.cache_clear()


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the face bundle and two tiny ones for texts."""
    return text_bundles.write_bundles(tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A photo with one face."""
    return fetch("single_face").read_bytes()


@pytest.fixture(scope="session")
def group() -> bytes:
    """A photo with several."""
    return fetch("multi_face").read_bytes()


@pytest.fixture
def data() -> Path:
    """Return the folder of the research data; skips where it is absent."""
    path = Path(os.environ.get("SENTISTREAM_DATA", "../shared/data"))
    if not path.is_dir():
        pytest.skip(f"no data at {path} (set SENTISTREAM_DATA)")
    return path


def _demand(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not os.environ.get(REQUIRE_ALL) or not report.skipped:
        return
    if hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"skipped, though {REQUIRE_ALL} is set: {reason}"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of long runs."""
    parser.addoption("--nightly", action="store_true", help="everything, at length, at random")


def pytest_configure(config: pytest.Config) -> None:
    """Let property tests depend on nothing but the code, or on nothing but chance."""
    nightly = config.getoption("nightly")
    properties.register_profile(
        "sentistream",
        deadline=None,  # time depends on the machine
        derandomize=not nightly,
        database=None,
        print_blob=nightly,
        suppress_health_check=[HealthCheck.too_slow],
    )
    properties.load_profile("sentistream")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is nightly, and give a browser or a real Kafka a second try."""
    if not config.getoption("nightly"):
        left_out = [item for item in items if item.get_closest_marker("nightly")]
        items[:] = [item for item in items if item not in set(left_out)]
        config.hook.pytest_deselected(items=left_out)
        for item in items:
            if item.get_closest_marker("browser") or item.get_closest_marker("kafka"):
                item.add_marker(pytest.mark.flaky(reruns=1))
    # Files over a minute, so that two workers end together.
    items.sort(key=lambda item: item.path.parent.name not in LONG)


def pytest_collection_finish() -> None:
    """In the project's check, import all that there is, which takes some seconds.

    Hypothesis takes constants for examples from what is loaded. So they would depend on which tests
    a worker happened to run before. What is left out are programs, which start when imported.
    """
    if not os.environ.get("CI"):
        return
    for room in ROOMS:
        for module in pkgutil.walk_packages([str(ROOT / room)], f"{room}."):
            if not module.name.endswith("__main__") and module.name != "dataflows.sentiment":
                # Of training, some may not be installed.
                with contextlib.suppress(ImportError if room == "training" else ()):
                    importlib.import_module(module.name)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name what passed at the second try alone."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.write_line(f"FLAKY {report.nodeid}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one when all tests are demanded."""
    report = yield
    _demand(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole module that skips itself."""
    report = yield
    _demand(report)
    return report

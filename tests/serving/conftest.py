"""A real server in a thread, with models that are opened once for all tests."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from waiting import PATIENCE_S, wait_for

from dataflows.api_options import ApiSettings
from dataflows.settings import Settings
from models.scorer import Scorer
from serving.app import create_app


class Api:
    """A running API, with a client that speaks to it."""

    def __init__(self, app: Any) -> None:
        config = uvicorn.Config(
            app,
            port=0,
            log_level="warning",
            access_log=False,
            ws="none",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        wait_for(lambda: self._server.started or not self._thread.is_alive())
        assert self._thread.is_alive()
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE_S)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.client.get(path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.client.post(path, **options)

    def wait_ready(self) -> None:
        """Wait until Kafka has its topics."""
        wait_for(lambda: self.get("/readyz").status_code == 200, lambda: self.get("/readyz").text)

    def stop(self) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join()


@pytest.fixture(scope="session")
def scorer(bundles: Path) -> Scorer:
    """The face bundle and a tiny one for texts."""
    return Scorer.from_folder(bundles, threads=2, keep_crops=True)


def options(**given: Any) -> ApiSettings:
    """Settings of an API with so much time that a busy machine is no reason to fail."""
    return ApiSettings(**{"timeout_s": 60, "requests_per_minute": 0} | given)


@pytest.fixture
def start_api(scorer: Scorer, settings: Settings) -> Iterator[Callable[..., Api]]:
    """A function that starts an API with these settings of it, and maybe another scorer."""
    with contextlib.ExitStack() as stack:

        def start(
            current: Callable[[], Scorer] = lambda: scorer,
            settings: Settings = settings,
            uses: Callable[[], Any] = dict,
            **given: Any,
        ) -> Api:
            update = {"api": options(**given)}
            api = Api(create_app(settings.model_copy(update=update), current, uses))
            stack.callback(api.stop)
            return api

        yield start


@pytest.fixture(scope="session")
def shared_settings(servers: Any) -> Settings:
    """Of the one API that most tests share, with topics and keys of its own."""
    name = f"serving-{uuid.uuid4().hex[:12]}"
    kafka = {
        "brokers": servers.brokers,
        **{f"{kind}_topic": f"{name}.{kind}" for kind in ("predictions", "dlq", "alerts")},
        "feedback_topic": f"{name}.feedback",
        "topic": f"{name}.events",
    }
    redis = {"url": servers.redis_url, "prefix": name}
    return Settings.model_validate({"kafka": kafka, "redis": redis, "api": options()})


@pytest.fixture(scope="session")
def api(scorer: Scorer, shared_settings: Settings) -> Iterator[Api]:
    """The API that most tests share."""
    running = Api(create_app(shared_settings, lambda: scorer))
    running.wait_ready()
    yield running
    running.stop()

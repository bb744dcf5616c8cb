"""Redis or the broker goes away while the API runs: it says so, and goes on with the rest."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from waiting import PATIENCE_S

from dataflows.clients import redis_client
from dataflows.keys import Keys
from dataflows.settings import Settings
from infra import embedded
from infra.ports import LOOPBACK, Ports
from infra.supervisor import Supervisor
from models.errors import ServiceError
from serving.figures import connect

pytestmark = pytest.mark.integration


@pytest.fixture
def ports() -> Iterator[Ports]:
    with Ports() as ports:
        yield ports


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """What a test starts itself, so that it may stop it."""
    with Supervisor(tmp_path) as supervisor:
        yield supervisor


def away(answer: Any, reason: str) -> None:
    assert (answer.status_code, answer.json()["reason"]) == (503, reason), answer.text
    assert int(answer.headers["retry-after"]) >= 1


def test_redis_goes_away_in_the_middle_of_a_stream(
    start_api: Callable[..., Any],
    settings: Settings,
    supervisor: Supervisor,
    ports: Ports,
    tmp_path: Path,
    photo: bytes,
) -> None:
    port = ports.free()
    supervisor.start(embedded.redis_server(port, tmp_path))
    open_url = {"url": SecretStr(f"redis://{LOOPBACK}:{port}/0")}
    own = settings.redis.model_copy(update=open_url)
    with redis_client(own) as client:
        client.zadd(Keys(own.prefix).sources, {"s": 1_790_000_000_000})
    api = start_api(settings=settings.model_copy(update={"redis": own}))
    api.wait_ready()
    with httpx.stream("GET", f"{api.url}/v1/stream/s", timeout=PATIENCE_S) as answer:
        lines = answer.iter_lines()
        assert "event: snapshot" in (next(lines), next(lines), next(lines))
        supervisor.stop()
        rest = [line for line in lines if line]  # the server ends it
    assert rest[-2] == "event: end"
    assert "connect again" in json.loads(rest[-1].removeprefix("data: "))["detail"]
    for path in ("sources", "rolling/s", "panes/s", "stream/s"):
        away(api.get(f"/v1/{path}"), "redis_away")
    ready = api.get("/readyz")
    away(ready, "not_ready")
    assert (ready.json()["redis"], ready.json()["kafka"]) == ("down", "up")
    metrics = api.get("/metrics")
    assert metrics.status_code == 200
    assert "\nsentistream_flow_workers " not in metrics.text
    assert len(api.post("/v1/predict", content=photo).json()["faces"]) == 1


def test_the_broker_goes_away_and_what_it_has_not_confirmed_is_told(
    start_api: Callable[..., Any], settings: Settings, supervisor: Supervisor, ports: Ports
) -> None:
    port = ports.free()
    supervisor.start(embedded.broker(port))
    kafka = settings.kafka.model_copy(update={"brokers": f"{LOOPBACK}:{port}"})
    api = start_api(settings=settings.model_copy(update={"kafka": kafka}), timeout_s=4)
    api.wait_ready()
    assert api.post("/v1/events", json={"text": "hello"}).status_code == 202
    supervisor.stop()
    answer = api.post("/v1/events", json={"events": [{"text": "hello"}, {"text": "joy"}]})
    away(answer, "kafka_away")
    assert answer.json()["confirmed"] == []
    claim = {"id": "e", "face": None, "predicted": "positive", "label": "neutral", "text": "love"}
    predicted = api.post("/v1/predict", json={"text": "love"}).json()["text"]["sentiment"]
    away(api.post("/v1/feedback", json={**claim, "predicted": predicted}), "kafka_away")
    assert "sentistream_api_events_total 1.0" in api.get("/metrics").text
    assert "sentistream_api_feedback_total{" not in api.get("/metrics").text


def test_a_wrong_url_of_redis_is_told_without_its_password(settings: Settings) -> None:
    wrong = settings.redis.model_copy(update={"url": SecretStr("rediss//:secret@host")})
    with pytest.raises(ServiceError, match="SENTISTREAM_REDIS__URL") as told:
        connect(settings.model_copy(update={"redis": wrong}))
    assert "secret" not in str(told.value)

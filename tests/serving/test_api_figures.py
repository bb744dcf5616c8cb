"""Figures out: what Redis holds, followed without a gap; and who may ask."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from dataflows.clients import redis_client
from dataflows.keys import Keys
from dataflows.panes import FIELDS
from dataflows.settings import Settings

pytestmark = pytest.mark.integration

PANE = ",".join(map(str, range(1, 16)))
SECOND = 1_790_000_000
TOKEN = "a long random text"  # noqa: S105


def write(settings: Settings, source: str, second: int) -> None:
    keys = Keys(settings.redis.prefix)
    with redis_client(settings.redis) as client:
        client.hset(keys.pane(1, source, second), str(second), PANE)
        fields = {"as_of": second, **dict.fromkeys(FIELDS, 3), "valence": "0.25"}
        client.hset(keys.rolling(source, 60), mapping={**fields, "valence_ci95": "nan"})
        client.zadd(keys.sources, {source: second * 1000})
        client.xadd(keys.updates, {"source": source, "bucket": second, "pane": PANE})


def test_sources_windows_and_panes_are_read(api: Any, shared_settings: Settings) -> None:
    write(shared_settings, "a/b:c", SECOND)
    assert {"source": "a/b:c", "newest_ms": SECOND * 1000} in api.get("/v1/sources").json()[
        "sources"
    ]
    window = api.get("/v1/rolling/a/b:c").json()["windows"]["60"]
    assert (window["as_of"], window["n"], window["valence"]) == (SECOND, 3, 0.25)
    assert window["valence_ci95"] is None
    answer = api.get(f"/v1/panes/a/b:c?from={SECOND - 5}&to={SECOND + 1}").json()
    assert [pane["bucket"] for pane in answer["panes"]] == [SECOND]
    assert api.get("/v1/panes/a/b:c").json()["panes"][0]["n"] == 1
    for path, status, reason in (
        ("rolling/nobody", 404, "unknown_source"),
        ("panes/a/b:c?from=5&to=1", 422, "bad_parameter"),
        ("panes/a/b:c?from=0", 422, "bad_parameter"),
        ("panes/a/b:c?resolution=2", 422, "bad_parameter"),
        ("panes/a/b:c?from=-1", 422, "bad_parameter"),
    ):
        wrong = api.get(f"/v1/{path}")
        assert (wrong.status_code, wrong.json()["reason"]) == (status, reason)


def sent(answer: httpx.Response) -> Iterator[tuple[str, str, Any]]:
    """Yield name, id and content of server-sent events."""
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif "event" in fields:
            yield fields["event"], fields.get("id", ""), json.loads(fields["data"])
            fields = {}


def test_a_stream_begins_with_a_snapshot_and_goes_on_without_a_gap(
    api: Any, shared_settings: Settings
) -> None:
    write(shared_settings, "s", SECOND)
    with api.client.stream("GET", "/v1/stream/s") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = sent(answer)
        name, place, snapshot = next(events)
        assert name == "snapshot"
        assert [pane["bucket"] for pane in snapshot["panes"]] == [SECOND]
        write(shared_settings, "other", SECOND + 1)
        write(shared_settings, "s", SECOND + 1)
        name, _, first = next(events)
        assert (name, first["pane"]["bucket"]) == ("pane", SECOND + 1)
    write(shared_settings, "s", SECOND + 2)
    headers = {"last-event-id": place}
    with api.client.stream("GET", "/v1/stream/s", headers=headers) as answer:
        events = sent(answer)
        assert [next(events)[2]["pane"]["bucket"] for _ in range(2)] == [SECOND + 1, SECOND + 2]
    with api.client.stream("GET", "/v1/stream/s", headers={"last-event-id": "1-1"}) as answer:
        assert next(sent(answer))[0] == "snapshot"


def test_only_who_may_is_answered(start_api: Callable[..., Any], photo: bytes) -> None:
    api = start_api(token=TOKEN)
    right = {"authorization": f"Bearer {TOKEN}"}
    assert api.get("/v1/models").status_code == 401
    assert api.get("/v1/models", headers=right).status_code == 200
    assert api.get("/healthz").status_code == 200
    foreign = {**right, "origin": "https://evil.example"}
    assert api.post("/v1/predict", content=photo, headers=foreign).status_code == 403
    for _ in range(5):
        assert api.get("/v1/models", headers={"authorization": "Bearer x"}).status_code == 401
    assert api.get("/v1/models", headers=right).status_code == 429


def test_without_a_token_only_loopback_names_are_answered(api: Any) -> None:
    answer = api.get("/v1/models", headers={"host": "evil.example"})
    assert (answer.status_code, answer.json()["reason"]) == (403, "forbidden")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_who_asks_too_often_has_to_wait(start_api: Callable[..., Any]) -> None:
    api = start_api(requests_per_minute=2)
    answers = [api.get("/v1/models") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 1 <= int(answers[2].headers["retry-after"]) <= 30


def test_the_document_describes_itself_and_metrics_are_counted(api: Any) -> None:
    document = api.get("/openapi.json").json()
    assert document["info"]["title"] == "SentiStream API v1"
    assert "sentistream_api_requests_total" in api.get("/metrics").text

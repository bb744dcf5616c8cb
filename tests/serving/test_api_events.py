"""Events and corrections in: checked, confirmed by Kafka, and nothing pretended."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dataflows.clients import producer, redis_client
from dataflows.contract import Record
from dataflows.feedback import Correction, correction_record
from dataflows.keys import Keys
from dataflows.settings import KafkaSettings, Settings
from dataflows.topics import ensure_topics
from infra.cli import app
from infra.offsets import OffsetReader
from infra.ports import Ports
from training.datasets.feedback import Correction as TrainingCorrection
from training.datasets.feedback import corrections

pytestmark = pytest.mark.integration


def records(settings: Settings, topic: str) -> Iterator[Record]:
    with OffsetReader(settings.kafka) as reader:
        yield from reader.records(topic, reader.read(topic, "first"), reader.read(topic, "end"))


def test_an_event_is_on_the_topic_as_the_contract_has_it(
    api: Any, shared_settings: Settings, photo: bytes
) -> None:
    time = "2026-11-23T12:00:00.000Z"
    headers = {"content-type": "image/jpeg", "ce-id": "e%201", "ce-source": "door", "ce-time": time}
    answer = api.post("/v1/events", content=photo, headers=headers)
    assert (answer.status_code, answer.json()) == (202, {"ids": ["e 1"]})
    events = [{"text": "hello", "source": "chat"}, {"emotions": [{"anger": 1}]}]
    several = api.post("/v1/events?source=edge", json={"events": events})
    assert several.status_code == 202, several.text
    found = {
        dict(record.headers)["ce_id"]: record
        for record in records(shared_settings, shared_settings.kafka.topic)
    }
    one = found[b"e 1"]
    assert (one.key, one.value) == (b"door", photo)
    assert dict(one.headers)["ce_time"] == time.encode()
    assert [found[x.encode()].key for x in several.json()["ids"]] == [b"chat", b"edge"]


def test_one_wrong_event_keeps_all_back(api: Any, shared_settings: Settings) -> None:
    topic = shared_settings.kafka.topic
    before = sum(1 for _ in records(shared_settings, topic))
    answer = api.post("/v1/events", json={"events": [{"text": "a"}, {"image": "AAAA"}]})
    assert answer.status_code == 422, answer.text
    assert (answer.json()["reason"], answer.json()["index"]) == ("broken_image", 1)
    for query, reason in (
        ("source=*", "bad_source"),
        ("time=yesterday", "bad_time"),
        ("time=2999-01-01T00:00:00Z", "future_time"),
    ):
        answer = api.post(f"/v1/events?{query}", json={"text": "a"})
        assert (answer.status_code, answer.json()["reason"]) == (422, reason)
    assert sum(1 for _ in records(shared_settings, topic)) == before


def test_without_a_broker_nothing_is_pretended(
    start_api: Callable[..., Any], settings: Settings, photo: bytes
) -> None:
    with Ports() as ports:
        kafka = KafkaSettings(brokers=f"127.0.0.1:{ports.free()}")
        api = start_api(settings=settings.model_copy(update={"kafka": kafka}))
        answer = api.post("/v1/events", json={"text": "hello"})
        assert (answer.status_code, answer.json()["reason"]) == (503, "kafka_away")
        assert int(answer.headers["retry-after"]) > 0
        ready = api.get("/readyz")
        assert (ready.status_code, ready.json()["kafka"]) == (503, "down")
        assert api.get("/healthz").status_code == 200
        assert len(api.post("/v1/predict", content=photo).json()["faces"]) == 1


def newest(settings: Settings) -> Correction:
    *_, record = records(settings, settings.kafka.feedback_topic)
    TrainingCorrection.model_validate_json(record.value or b"")
    return Correction.model_validate_json(record.value or b"")


def changed(receipt: str) -> str:
    """Return a receipt with another letter in the middle."""
    return receipt[:400] + ("B" if receipt[400] == "A" else "A") + receipt[401:]


def test_a_correction_carries_features_and_no_picture(
    api: Any, shared_settings: Settings, photo: bytes
) -> None:
    face = api.post("/v1/predict?id=f1&receipt=true", content=photo).json()["faces"][0]
    asked = {"id": "f1", "face": 0, "predicted": face["emotion"], "label": "fear", "note": "so"}
    answer = api.post("/v1/feedback", json={**asked, "receipt": face["receipt"]})
    assert (answer.status_code, answer.json()["stored"]) == (202, ["labels", "features", "note"])
    first = newest(shared_settings)
    assert (first.id, first.face, first.label, first.picture) == ("f1", 0, "fear", None)
    assert len(first.features) > 1000
    again = {**asked, "id": "f2", "image": base64.b64encode(photo).decode()}
    assert api.post("/v1/feedback", json={**again, "label": face["emotion"]}).status_code == 202
    key = Keys(shared_settings.redis.prefix).feedback
    counts = redis_client(shared_settings.redis).hgetall(key)
    assert counts == {f"{first.bundle}:disagreed": "1", f"{first.bundle}:agreed": "1"}
    assert newest(shared_settings).features == pytest.approx(first.features, abs=0.05)
    for change, status, reason in (
        ({"label": "joy"}, 422, "unknown_label"),
        ({"id": "f3"}, 422, "bad_receipt"),
        ({"receipt": changed(face["receipt"])}, 422, "bad_receipt"),
        ({"predicted": "fear" if face["emotion"] != "fear" else "anger"}, 409,
         "prediction_differs"),
        ({"consent": True}, 422, "no_pictures"),
        ({"receipt": None}, 422, "bad_body"),
        ({"more": 1}, 422, "bad_body"),
    ):  # fmt: skip
        wrong = api.post("/v1/feedback", json={**asked, "receipt": face["receipt"], **change})
        assert (wrong.status_code, wrong.json()["reason"]) == (status, reason)


def test_what_people_correct_comes_back_as_training_reads_it(
    settings: Settings, tmp_path: Path
) -> None:
    ensure_topics(settings)
    client = producer(settings.kafka)
    for label, second in (("fear", 1), ("anger", 2)):
        correction = Correction(
            id="e",
            face=0,
            time=datetime(2026, 11, 26, 12, 0, second, tzinfo=UTC),
            bundle="face/1.2.0",
            predicted="neutral",
            label=label,
            features=(0.5, 1.0),
        )
        client.produce(settings.kafka.feedback_topic, correction_record(correction).value)
    text = correction.model_copy(update={"face": None, "bundle": "text/1.0.0"})
    client.produce(settings.kafka.feedback_topic, correction_record(text).value)
    client.produce(settings.kafka.feedback_topic, b"{}")
    client.flush(10)
    out = tmp_path / "feedback.jsonl"
    done = CliRunner().invoke(app, ["feedback", "export", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "1 corrections; 1 records are no corrections" in done.output
    (one,) = corrections(out)
    assert (one.label, one.features) == ("anger", (0.5, 1.0))

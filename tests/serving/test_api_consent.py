"""Corrections that bring a picture or a text: it is scored again, and kept only with consent."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from dataflows.settings import Settings
from infra.offsets import OffsetReader

pytestmark = pytest.mark.integration

NOT_SCORED = {"id": "e", "face": 0, "predicted": "fear", "label": "fear"}


def kept(settings: Settings) -> list[dict[str, Any]]:
    """Return the corrections on the topic."""
    topic = settings.kafka.feedback_topic
    with OffsetReader(settings.kafka) as reader:
        places = reader.read(topic, "first"), reader.read(topic, "end")
        return [json.loads(record.value or b"") for record in reader.records(topic, *places)]


def encoded(photo: bytes) -> str:
    return base64.b64encode(photo).decode()


def asked(api: Any, photo: bytes, **more: Any) -> dict[str, Any]:
    """Return a correction of the one face of a photo."""
    emotion = api.post("/v1/predict", content=photo).json()["faces"][0]["emotion"]
    claim = {"id": "e", "face": 0, "predicted": emotion, "label": "fear"}
    return {**claim, "image": encoded(photo), **more}


def test_a_picture_is_kept_where_it_is_allowed_and_its_owner_agrees(
    start_api: Callable[..., Any], settings: Settings, photo: bytes
) -> None:
    api = start_api(feedback_pictures=True)
    api.wait_ready()
    agreed = api.post("/v1/feedback", json=asked(api, photo, consent=True, note="mine"))
    assert (agreed.status_code, agreed.json()["stored"]) == (
        202,
        ["labels", "features", "note", "picture"],
    )
    silent = api.post("/v1/feedback", json=asked(api, photo))
    assert silent.json()["stored"] == ["labels", "features"]
    by_picture = {one["picture"] is not None: one for one in kept(settings)}
    assert by_picture.keys() == {True, False}
    crop = Image.open(io.BytesIO(base64.b64decode(by_picture[True]["picture"])))
    assert crop.format == "JPEG"
    assert crop.width == crop.height < 300  # the aligned face alone, not the photo
    assert not crop.getexif()


def test_no_picture_is_kept_where_it_is_not_allowed(
    start_api: Callable[..., Any], settings: Settings, photo: bytes
) -> None:
    api = start_api()
    api.wait_ready()
    refused = api.post("/v1/feedback", json=asked(api, photo, consent=True))
    assert (refused.status_code, refused.json()["reason"]) == (422, "no_pictures")
    assert api.post("/v1/feedback", json=asked(api, photo)).status_code == 202
    (one,) = kept(settings)
    assert one["picture"] is None
    assert encoded(photo)[:200] not in json.dumps(one)


def test_a_text_is_corrected_by_its_features_alone(
    start_api: Callable[..., Any], settings: Settings
) -> None:
    api = start_api()
    api.wait_ready()
    words = "I love this wonderful day"
    found = api.post("/v1/predict?id=t&receipt=true", json={"text": words}).json()["text"]
    claim = {"id": "t", "predicted": found["sentiment"], "label": "neutral"}
    for way in ({"text": words}, {"receipt": found["receipt"]}):
        answer = api.post("/v1/feedback", json={**claim, **way})
        assert answer.status_code == 202, answer.text
    first, second = kept(settings)
    assert first["face"] is None
    assert first["bundle"].startswith("text/")
    assert first["features"] == pytest.approx(second["features"], abs=1e-5)
    assert words not in json.dumps([first, second])


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ({"image": "*"}, 422, "bad_base64"),
        ({"image": encoded(b"a text")}, 422, "broken_image"),
        ({"image": encoded(b"\xff\xd8\xff broken")}, 422, "broken_image"),
        ({"text": " "}, 422, "empty_text"),
        ({"face": None, "text": "x" * 10_001, "predicted": "neutral", "label": "neutral"}, 413,
         "text_too_long"),
        ({"image": None}, 422, "bad_body"),
        ({"text": "a", "image": "a"}, 422, "bad_body"),
        ({"id": ""}, 422, "bad_body"),
        ({"id": "\ud800", "text": "a"}, 422, "bad_body"),
        ({"face": -1, "text": "a"}, 422, "bad_body"),
        ({"label": "positive", "text": "a"}, 422, "unknown_label"),
        ({"receipt": "*"}, 422, "bad_receipt"),
        ({"receipt": ""}, 422, "bad_receipt"),
        ({"receipt": encoded(b"made up" * 20)}, 422, "bad_receipt"),
    ],
)  # fmt: skip
def test_what_is_no_correction_is_told(
    api: Any, change: dict[str, Any], status: int, reason: str
) -> None:
    body = json.dumps({**NOT_SCORED, **change})
    answer = api.post("/v1/feedback", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["reason"]) == (status, reason), answer.text


def test_a_part_that_is_not_there_cannot_be_corrected(api: Any, photo: bytes) -> None:
    for change in ({"face": 1}, {"face": None, "predicted": "neutral", "label": "negative"}):
        answer = api.post("/v1/feedback", json=asked(api, photo, **change))
        assert (answer.status_code, answer.json()["reason"]) == (422, "unknown_part"), answer.text
    wrong = api.post("/v1/feedback", json={**NOT_SCORED, "text": "a"})
    assert (wrong.status_code, wrong.json()["reason"]) == (422, "unknown_part")

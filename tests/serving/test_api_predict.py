"""Predictions on request: every form of a body, and what cannot be used."""

from __future__ import annotations

import base64
import io
import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image
from waiting import PATIENCE_S

from models.prediction import prediction
from models.scorer import Content, Scored, Scorer
from serving.answers import Batch, Prediction, ProblemDetails

pytestmark = pytest.mark.integration


def reason(answer: Any, status: int) -> str:
    """Return why a request was refused, after a look at the form of the answer."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = ProblemDetails.model_validate(answer.json())
    assert problem.status == status
    assert problem.type == f"urn:sentistream:problem:{problem.reason}"
    return problem.reason


def expected(scorer: Scorer, content: Content, given: str) -> dict[str, Any]:
    (scored,) = scorer.score([content])
    assert isinstance(scored, Scored)
    return prediction(given, scored, scorer.versions)


def test_every_form_of_a_body_is_answered_as_sentistream_predict_does(
    api: Any, scorer: Scorer, group: bytes
) -> None:
    picture = expected(scorer, Content(image=group), "p")
    assert len(picture["faces"]) > 1
    encoded = base64.b64encode(group).decode()
    for options in (
        {"content": group, "headers": {"content-type": "image/jpeg"}},
        {"content": group},  # the first bytes tell
        {
            "content": group,
            "headers": {"content-type": "application/x-www-form-urlencoded"},
        },  # curl
        {"files": {"file": ("who cares.bin", group)}},
        {"json": {"image": encoded}},
        {"json": {"image": f"data:image/jpeg;base64,{encoded}"}},
    ):
        answer = api.post("/v1/predict?id=p", **options)
        assert answer.status_code == 200, answer.text
        assert answer.json() == picture
        Prediction.model_validate(answer.json())
    text = expected(scorer, Content(text="I love this wonderful day"), "t")
    for options in (
        {"content": "I love this wonderful day", "headers": {"content-type": "text/plain"}},
        {"json": {"text": "I love this wonderful day"}},
        {"files": {"text": (None, "I love this wonderful day")}},
    ):
        assert api.post("/v1/predict?id=t", **options).json() == text
    both = expected(scorer, Content(image=group, text="I hate it"), "b")
    for options in (
        {"json": {"image": encoded, "text": "I hate it"}},
        {"files": {"text": (None, "I hate it"), "file": ("x.jpg", group, "image/jpeg")}},
    ):
        assert api.post("/v1/predict?id=b", **options).json() == both


def test_a_prediction_without_an_id_gets_one(api: Any, photo: bytes) -> None:
    first, second = (api.post("/v1/predict", content=photo).json() for _ in range(2))
    assert first["id"] != second["id"]


def test_why_is_told_when_asked(api: Any, photo: bytes) -> None:
    answer = api.post("/v1/predict?explain=true", json={"text": "I love it"}).json()
    assert {word["word"] for word in answer["explanation"]["text"]} == {"I", "love", "it"}
    answer = api.post("/v1/predict?explain=true", content=photo).json()
    assert len(answer["explanation"]["faces"][0]) == 3


def broken_png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("1", (width, height)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("options", "status", "why"),
    [
        ({"content": b""}, 422, "empty_value"),
        ({"content": b"\xff\xd8\xff broken"}, 422, "broken_image"),
        ({"content": b"GIF89a"}, 415, "unsupported_type"),
        ({"content": b"\x00\x01\xff"}, 415, "unknown_type"),
        ({"content": "a", "headers": {"content-type": "application/xml"}}, 415, "unsupported_type"),
        ({"content": broken_png(8000, 8000)}, 422, "too_many_pixels"),
        ({"content": " ", "headers": {"content-type": "text/plain"}}, 422, "empty_text"),
        ({"content": "@you https://x.example"}, 422, "empty_text"),
        ({"content": b"\xff", "headers": {"content-type": "text/plain"}}, 422, "bad_utf8"),
        ({"content": "x" * 10_001}, 413, "text_too_long"),
        ({"content": "{", "headers": {"content-type": "application/json"}}, 422, "bad_json"),
        ({"content": "[" * 10**5, "headers": {"content-type": "application/json"}}, 422,
         "bad_json"),
        ({"json": {}}, 422, "no_known_field"),
        ({"json": {"text": 1}}, 422, "bad_json"),
        ({"json": {"image": "*"}}, 422, "bad_base64"),
        ({"json": {"emotions": [{"joy": 1}]}}, 422, "bad_probabilities"),
        ({"files": {"file": ("x", b"")}}, 422, "empty_value"),
        ({"files": [("file", ("x", b"\xff\xd8\xff"))] * 2}, 422, "bad_body"),
        ({"files": [("file", ("x", b"\xff\xd8\xff"))] * 3}, 422, "too_many_items"),
        ({"files": {"other": (None, "x")}}, 422, "bad_body"),
        ({"content": "x", "headers": {"content-type": "multipart/form-data"}}, 422, "bad_body"),
        ({"content": "x", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 422,
         "bad_body"),
        ({"content": "x", "params": {"explain": "maybe"}}, 422, "bad_parameter"),
        ({"content": "x", "params": {"id": ""}}, 422, "bad_parameter"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_told(
    api: Any, options: dict[str, Any], status: int, why: str
) -> None:
    assert reason(api.post("/v1/predict", **options), status) == why


def test_a_lone_surrogate_does_no_harm(api: Any) -> None:
    body = {"content": b'{"text": "\\ud800"}', "headers": {"content-type": "application/json"}}
    assert api.post("/v1/predict", **body).status_code in (200, 422)


def test_an_unknown_address_and_a_wrong_method_are_told(api: Any) -> None:
    assert reason(api.get("/v2/predict"), 404) == "not_found"
    answer = api.get("/v1/predict")
    assert reason(answer, 405) == "method_not_allowed"
    assert answer.headers["allow"] == "POST"


def test_without_a_text_bundle_a_text_is_refused(
    start_api: Callable[..., Any], scorer: Scorer, photo: bytes
) -> None:
    bare = Scorer(scorer.bundle, threads=1, keep_crops=True)
    api = start_api(lambda: bare)
    assert reason(api.post("/v1/predict", json={"text": "hello"}), 422) == "no_text_bundle"
    assert api.post("/v1/predict", content=photo).json()["text"] is None
    assert api.get("/v1/models").json()["text"] is None


def test_a_batch_tells_each_content_in_its_place(
    api: Any, scorer: Scorer, photo: bytes, group: bytes
) -> None:
    encoded = base64.b64encode(photo).decode()
    items = [
        {"id": "one", "image": encoded},
        {"id": "two", "image": "*"},
        {"id": "three", "text": "I love it"},
        {"id": "four", "text": "@you"},
    ]
    answer = api.post("/v1/predict/batch", json={"items": items})
    assert answer.status_code == 200
    Batch.model_validate(answer.json())
    one, two, three, four = answer.json()["results"]
    assert one == expected(scorer, Content(image=photo), "one")
    assert (two["id"], two["reason"]) == ("two", "bad_base64")
    assert three == expected(scorer, Content(text="I love it"), "three")
    assert (four["id"], four["reason"]) == ("four", "empty_text")
    files = [("file", ("a.jpg", photo)), ("file", ("b.jpg", group)), ("file", ("c", b"?"))]
    first, second, third = api.post("/v1/predict/batch", files=files).json()["results"]
    assert [len(one["faces"]) for one in (first, second)] == [1, 5]
    assert third["text"] is not None


@pytest.mark.parametrize(
    ("options", "status", "why"),
    [
        ({"json": {"items": []}}, 422, "bad_body"),
        ({"json": {"items": [1]}}, 422, "bad_body"),
        ({"json": {"items": [{"text": "a"}], "more": 1}}, 422, "bad_body"),
        ({"json": {"items": [{"id": 1, "text": "a"}]}}, 422, "bad_body"),
        ({"json": {"items": [{"text": "a"}] * 33}}, 422, "too_many_items"),
        ({"json": []}, 422, "bad_json"),
        ({"content": "a", "headers": {"content-type": "text/plain"}}, 415, "unsupported_type"),
        ({"files": [("file", ("x", b"a"))] * 33}, 422, "too_many_items"),
    ],
)
def test_a_batch_of_another_form_is_refused(
    api: Any, options: dict[str, Any], status: int, why: str
) -> None:
    assert reason(api.post("/v1/predict/batch", **options), status) == why


def test_a_body_over_the_limit_is_refused_before_it_is_read(start_api: Callable[..., Any]) -> None:
    api = start_api(max_body_bytes=2000)
    assert reason(api.post("/v1/predict", content=b"x" * 2001), 413) == "body_too_large"
    assert api.post("/v1/predict", content=b"I love " * 280).status_code == 200
    # Without a length, in chunks, and with an end that never comes.
    with socket.create_connection(("127.0.0.1", api.port), timeout=PATIENCE_S) as connection:
        head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head + b"3e8\r\n" + b"x" * 1000 + b"\r\n")
        connection.sendall(b"3e9\r\n" + b"x" * 1001 + b"\r\n")
        assert b" 413 " in connection.recv(65536).split(b"\r\n")[0]


def test_a_body_that_does_not_arrive_is_given_up(start_api: Callable[..., Any]) -> None:
    api = start_api(timeout_s=0.2)
    with socket.create_connection(("127.0.0.1", api.port), timeout=PATIENCE_S) as connection:
        head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc"
        connection.sendall(head)
        status, _, rest = connection.recv(65536).partition(b"\r\n")
        assert b" 408 " in status
        assert json.loads(rest.rpartition(b"\r\n\r\n")[2])["reason"] == "slow_body"

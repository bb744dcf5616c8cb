import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflows.content import read_content, sniff_type
from dataflows.contract import REASONS
from dataflows.edge import read_faces
from models.errors import ContentError
from models.scorer import Content

JPEG = b"\xff\xd8\xff\xe0rest"


def document(**fields: object) -> Content:
    return read_content(json.dumps(fields).encode(), "application/json")


def reason(value: bytes, content_type: str | None) -> str:
    with pytest.raises(ContentError) as caught:
        read_content(value, content_type)
    assert caught.value.reason in REASONS
    assert str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (JPEG, "image/jpeg"),
        (b"\x89PNG\r\n\x1a\nrest", "image/png"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"GIF89a", "image/gif"),
        ("grüße".encode(), "text/plain"),
        (b' {"a": 1}', "application/json"),
        (b"{no json}", "text/plain"),
        (b"[1, 2]", "text/plain"),
        (b"\xff\xfe\x00\x01", None),
        (b"\x00\x01", None),
    ],
)
def test_the_type_is_seen_in_the_first_bytes(value: bytes, expected: str | None) -> None:
    assert sniff_type(value) == expected


def test_contents_of_each_type() -> None:
    assert read_content(JPEG, "image/jpeg") == Content(image=JPEG)
    assert read_content(JPEG, None) == Content(image=JPEG)
    assert read_content(b"\xef\xbb\xbfgood", "text/plain") == Content(text="good")
    encoded = base64.b64encode(JPEG).decode()
    assert document(image=encoded, text="hi", more=1) == Content(image=JPEG, text="hi")
    assert document(image=f"data:image/jpeg;base64,{encoded}") == Content(image=JPEG)
    assert read_content(JPEG, "image/jpg") == Content(image=JPEG)


@given(st.binary(min_size=1, max_size=300))
def test_base64_is_read_as_producers_write_it(value: bytes) -> None:
    plain = base64.b64encode(value).decode()
    for written in (
        plain,
        plain + "\n",
        base64.encodebytes(value).decode(),
        plain.replace("=", ""),
        base64.urlsafe_b64encode(value).decode(),
        base64.urlsafe_b64encode(value).decode().rstrip("="),
    ):
        assert document(image=written) == Content(image=value)


def test_faces_scored_at_the_edge() -> None:
    content = document(emotions=[{"anger": 0.25, "neutral": 0.75}, {"happiness": 1}])
    assert content.faces == ((0, 0, 0, 0, 0, 0.25, 0.75), (0, 0, 0, 1, 0, 0, 0))
    assert document(emotions=[]).faces == ()
    assert document(emotions=[{"anger": 0.991}]).faces is not None


@pytest.mark.parametrize(
    ("total", "taken"),
    [(0.99, True), (1.01, True), (0.965, True), (1.035, True), (0.9649, False), (1.0351, False)],
)
def test_sums_may_be_as_far_off_as_seven_rounded_shares(total: float, taken: bool) -> None:
    value = json.dumps({"emotions": [{"anger": 0.5, "neutral": total - 0.5}]}).encode()
    assert (read_faces(value) is not None) is taken
    if taken:
        assert read_content(value, "application/json").faces is not None
    else:
        assert reason(value, "application/json") == "bad_probabilities"


@pytest.mark.parametrize(
    ("value", "content_type", "expected"),
    [
        (b"GIF89a", "image/gif", "unsupported_type"),
        (b"GIF89a", None, "unsupported_type"),
        (b"x", "video/mp4", "unsupported_type"),
        (b"\xff\xfe\xfa", None, "unknown_type"),
        (b"\xff\xfe\xfa", "text/plain", "bad_utf8"),
        (b" \n\t", "text/plain", "empty_text"),
        (b"\xff{}", "application/json", "bad_utf8"),
        (b"{", "application/json", "bad_json"),
        (b"[" * 100_000, "application/json", "bad_json"),
        (b"[]", "application/json", "bad_json"),
        (b"{}", "application/json", "no_known_field"),
        (b'{"text": null}', "application/json", "no_known_field"),
        (b'{"text": 5}', "application/json", "bad_json"),
        (b'{"text": " "}', "application/json", "empty_text"),
        (b'{"image": 5}', "application/json", "bad_json"),
        (b'{"image": "$"}', "application/json", "bad_base64"),
        (b'{"image": "\xc3\xa4"}', "application/json", "bad_base64"),
        (b'{"image": ""}', "application/json", "bad_base64"),
        (b'{"emotions": {"anger": 1}}', "application/json", "bad_json"),
        (b'{"emotions": [1]}', "application/json", "bad_json"),
        (b'{"emotions": [{"joy": 1}]}', "application/json", "bad_probabilities"),
        (b'{"emotions": [{"anger": 0.5}]}', "application/json", "bad_probabilities"),
        (b'{"emotions": [{"anger": 1.5}]}', "application/json", "bad_probabilities"),
        (b'{"emotions": [{"anger": NaN}]}', "application/json", "bad_probabilities"),
        (b'{"emotions": [{"anger": true}]}', "application/json", "bad_probabilities"),
        (b'{"emotions": [{"anger": "1"}]}', "application/json", "bad_probabilities"),
    ],
)
def test_what_cannot_be_used_has_its_reason(
    value: bytes, content_type: str | None, expected: str
) -> None:
    assert reason(value, content_type) == expected


@given(
    st.binary(max_size=60),
    st.sampled_from([None, "text/plain", "application/json", "image/png", "x"]),
)
def test_any_bytes_give_content_or_a_reason(value: bytes, content_type: str | None) -> None:
    result: Content | ContentError
    try:
        result = read_content(value, content_type)
    except ContentError as error:
        result = error
    known = isinstance(result, ContentError) and result.reason in REASONS
    assert known or result != Content()

"""From the value of an event to the content that a scorer takes, or to the reason why not."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Final

from models.errors import ContentError
from models.observation import EXPRESSIONS
from models.scorer import Content

__all__ = [
    "IMAGE_TYPES",
    "JSON_TYPE",
    "MAX_EDGE_FACES",
    "SUM_TOLERANCE",
    "TEXT_TYPE",
    "read_content",
    "sniff_type",
]

IMAGE_TYPES: Final = frozenset({"image/jpeg", "image/png", "image/webp"})
BASE64_URL: Final = str.maketrans("-_", "+/", " \t\r\n\f=")
TEXT_TYPE: Final = "text/plain"
JSON_TYPE: Final = "application/json"
# Of the probabilities of one face: seven that are rounded to two decimals are off by 0.005 each.
# The last digits of a float are beside the point.
SUM_TOLERANCE: Final = 0.035 + 1e-9
JPEG_TYPE: Final = "image/jpeg"
JPG_TYPE: Final = "image/jpg"  # no such type exists (RFC 2046), and many say so
MAX_EDGE_FACES: Final = 1000


def read_content(value: bytes, declared: str | None = None) -> Content:
    """Return the content of an event.

    Args:
        value: the value of the record; not empty.
        declared: its content type in lower case without parameters; None to go by the bytes.

    Raises:
        ContentError: with one of the reasons of the contract.
    """
    content_type = JPEG_TYPE if declared == JPG_TYPE else declared or sniff_type(value)
    if content_type in IMAGE_TYPES:
        return Content(image=value)
    if content_type == TEXT_TYPE:
        return Content(text=_text(value))
    if content_type == JSON_TYPE:
        return _json(value)
    if content_type is None:
        raise ContentError(
            "unknown_type", "there is no content type and the first bytes are of no known one"
        )
    raise ContentError("unsupported_type", f"content type {content_type!r} is not supported")


def sniff_type(value: bytes) -> str | None:
    """Return the content type that the bytes themselves show, None if they show none."""
    if value.startswith(b"\xff\xd8\xff"):
        return JPEG_TYPE
    if value.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if value[:4] == b"RIFF" and value[8:12] == b"WEBP":
        return "image/webp"
    if value.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    if "\0" in text:
        return None
    if text.lstrip().startswith("{"):
        # A text may begin with a brace too; only what parses is JSON.
        try:
            return JSON_TYPE if isinstance(json.loads(text), dict) else TEXT_TYPE
        except (ValueError, RecursionError):
            return TEXT_TYPE
    return TEXT_TYPE


def _text(value: bytes) -> str:
    try:
        text = value.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ContentError("bad_utf8", f"the text is not UTF-8: {error}") from error
    return _not_empty(text)


def _not_empty(text: str) -> str:
    if not text.strip():
        raise ContentError("empty_text", "the text has nothing but white space")
    return text


def _json(value: bytes) -> Content:
    try:
        document = json.loads(value)
    except UnicodeDecodeError as error:
        raise ContentError("bad_utf8", f"the JSON is not UTF-8: {error}") from error
    except (ValueError, RecursionError) as error:
        raise ContentError("bad_json", f"the value is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ContentError("bad_json", f"the JSON is {type(document).__name__}, not an object")
    text, image, emotions = (document.get(name) for name in ("text", "image", "emotions"))
    if text is None and image is None and emotions is None:
        raise ContentError(
            "no_known_field",
            f"none of text, image, emotions among the fields {sorted(document)[:10]}",
        )
    if emotions is not None:
        return Content(faces=_emotions(emotions))
    if text is not None:
        if not isinstance(text, str):
            raise ContentError("bad_json", f"text is {type(text).__name__}, not a string")
        text = _not_empty(text) if image is None else text
    return Content(image=_base64(image) if image is not None else None, text=text)


def _base64(image: Any) -> bytes:  # noqa: ANN401
    if not isinstance(image, str):
        raise ContentError("bad_json", f"image is {type(image).__name__}, not a base64 string")
    if image.startswith("data:"):  # browsers give pictures as data URLs
        image = image.partition(",")[2]
    # In lines (RFC 2045), for addresses (RFC 4648, 5) or without padding it is base64 as well.
    plain = image.translate(BASE64_URL)
    try:
        decoded = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ContentError("bad_base64", f"image is not base64: {error}") from error
    if not decoded:
        raise ContentError("bad_base64", "image is empty")
    return decoded


def _emotions(emotions: Any) -> tuple[tuple[float, ...], ...]:  # noqa: ANN401
    if not isinstance(emotions, list) or not all(isinstance(face, dict) for face in emotions):
        raise ContentError("bad_json", "emotions is not a list of objects")
    if len(emotions) > MAX_EDGE_FACES:
        raise ContentError(
            "bad_probabilities", f"{len(emotions)} faces; the limit is {MAX_EDGE_FACES}"
        )
    return tuple(_probabilities(face) for face in emotions)


def _probabilities(face: dict[str, Any]) -> tuple[float, ...]:
    unknown = face.keys() - set(EXPRESSIONS)
    if unknown:
        raise ContentError("bad_probabilities", f"no expression: {sorted(unknown)[:3]}")
    values = []
    for name in EXPRESSIONS:
        value = face.get(name, 0)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value <= 1:
            raise ContentError("bad_probabilities", f"{name} is {value!r}, not within 0…1")
        values.append(float(value))
    if abs(sum(values) - 1) > SUM_TOLERANCE:
        raise ContentError("bad_probabilities", f"the sum is {sum(values):.4f}, not 1 ± 0.035")
    return tuple(values)

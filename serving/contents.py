"""From a body to what is to be scored or published: raw, JSON, or a form."""

from __future__ import annotations

import base64
import json
from typing import Any, Final, NamedTuple

from dataflows.content import JSON_TYPE, TEXT_TYPE, read_content
from models.errors import ContentError
from models.scorer import Content
from serving.multipart import Part, parts_of
from serving.problems import Problem, of_content

__all__ = ["Value", "content_of", "form_of", "json_object", "listed", "media_type", "one_value"]

FORM: Final = "multipart/form-data"
# What programs send that do not know better, the last one `curl`; the first bytes then decide.
NOT_SAID: Final = frozenset({"", "application/octet-stream", "application/x-www-form-urlencoded"})


class Value(NamedTuple):
    """A value as the message contract has it: bytes, and their type if it is said."""

    data: bytes
    content_type: str | None


def media_type(header: str | None) -> str | None:
    """Return a content type in lower case without parameters, None if it says nothing."""
    found = (header or "").partition(";")[0].strip().lower()
    return None if found in NOT_SAID else found


def one_value(body: bytes, header: str | None) -> Value:
    """Return the one content of a request.

    Of a form it is a file, or the field `text`, or both.

    Raises:
        Problem: the form has something else.
    """
    if media_type(header) != FORM:
        return Value(body, media_type(header))
    values = form_of(body, header or "", 2)
    files = [value for value in values if value.content_type != TEXT_TYPE]
    if len(values) == 1:
        return values[0]
    if len(files) != 1:
        raise Problem("bad_body", "the form has to have one picture, one text, or one of each")
    (text,) = (value for value in values if value.content_type == TEXT_TYPE)
    picture = content_of(files[0])
    if picture.image is None:
        raise Problem("bad_body", "beside a text the form may have a picture, and nothing else")
    return Value(_both(picture.image, text), JSON_TYPE)


def form_of(body: bytes, header: str, most: int) -> list[Value]:
    """Return the values of a form: its files, and fields with the name `text`.

    Raises:
        Problem: there are none, too many, or other fields.
    """
    values = [_value(part) for part in parts_of(body, header, most)]
    if not values:
        raise Problem("bad_body", "the form has no part")
    return values


def _value(part: Part) -> Value:
    if part.name == "text" and not part.is_file:
        return Value(part.value, TEXT_TYPE)
    if not part.is_file:
        raise Problem(
            "bad_body", f"a form has files and fields of the name text, not {part.name[:80]!r}"
        )
    return Value(part.value, media_type(part.content_type))


def _both(image: bytes, text: Value) -> bytes:
    try:
        words = text.data.decode()
    except UnicodeDecodeError as error:
        raise Problem("bad_utf8", f"the field text is not UTF-8: {error}") from error
    return json.dumps({"text": words, "image": base64.b64encode(image).decode("ascii")}).encode()


def content_of(value: Value, most_chars: int | None = None) -> Content:
    """Return the content as the flow reads it.

    Raises:
        Problem: it cannot be used.
    """
    if not value.data:
        raise Problem("empty_value", "there is a content without a byte")
    try:
        content = read_content(value.data, value.content_type)
    except ContentError as error:
        raise of_content(error) from error
    if most_chars is not None and content.text is not None and len(content.text) > most_chars:
        detail = f"the text has {len(content.text)} characters; the limit is {most_chars}"
        raise Problem("text_too_long", detail)
    return content


def json_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object that a body is.

    Raises:
        Problem: `bad_json`.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Problem("bad_json", f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise Problem("bad_json", f"the JSON is {type(document).__name__}, not an object")
    return document


def listed(body: bytes, name: str, most: int) -> list[dict[str, Any]]:
    """Return the objects of `{"NAME": [{…}, …]}`.

    Raises:
        Problem: it has another form, no objects, or more than `most`.
    """
    document = json_object(body)
    items = document.get(name)
    if document.keys() != {name} or not isinstance(items, list) or not items:
        raise Problem("bad_body", f'the JSON has to be {{"{name}": [ … ]}} with at least one entry')
    if len(items) > most:
        raise Problem("too_many_items", f"{len(items)} entries in {name}; the limit is {most}")
    if not all(isinstance(item, dict) for item in items):
        raise Problem("bad_body", f"every entry of {name} has to be an object")
    return items

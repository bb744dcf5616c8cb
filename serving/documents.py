"""Parts of the OpenAPI document: bodies with examples, and the answers of each route."""

from __future__ import annotations

import base64
from typing import Any, Final

from pydantic import BaseModel

from serving.answers import FeedbackRequest, ProblemDetails
from serving.problems import KINDS, MEDIA_TYPE

__all__ = ["answers", "batch_body", "content_body", "events_body", "feedback_body"]

# What any request can be answered: by who guards the API, and by what is built around the routes.
EVERYWHERE: Final = (400, 401, 403, 404, 405, 429, 500)
BODY: Final = (408, 413, 415, 422, 503)
PICTURE: Final = base64.b64encode(b"\xff\xd8\xff a JPEG").decode("ascii")
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}


def answers(
    model: type[BaseModel] | None, *statuses: int, status: int = 200, media: str | None = None
) -> dict[int | str, dict[str, Any]]:
    """Return the answers of a route: its own, and its problems.

    Args:
        model: of the answer; None for one that is no JSON.
        statuses: of problems beside those that every route has.
        status: of its own answer.
        media: type of an answer that is no JSON.
    """
    own: dict[str, Any] = {"description": "What was asked for."}
    if model is not None:
        own["model"] = model
    if media is not None:
        own["content"] = {media: {"schema": {"type": "string"}}}
    found: dict[int | str, dict[str, Any]] = {status: own}
    found.update({code: _problem(code) for code in sorted({*EVERYWHERE, *statuses})})
    return found


def _problem(status: int) -> dict[str, Any]:
    kinds = {name: kind for name, kind in KINDS.items() if kind.status == status}
    documents = {
        name: {
            "value": {
                "type": f"urn:sentistream:problem:{name}",
                "title": kind.title,
                "status": status,
                "detail": "…",
                "reason": name,
            }
        }
        for name, kind in kinds.items()
    }
    schema = {"$ref": f"#/components/schemas/{ProblemDetails.__name__}"}
    return {
        "description": " ".join(kind.title for kind in kinds.values()),
        "content": {MEDIA_TYPE: {"schema": schema, "examples": documents}},
    }


def _body(content: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": content}}


def _form(**fields: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"schema": {"type": "object", "properties": fields}}


_CONTENT: Final = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "minLength": 1},
        "image": {"type": "string", "description": "A picture in base64, or a data URL."},
    },
    "anyOf": [{"required": ["text"]}, {"required": ["image"]}],
}
_PICTURES: Final = dict.fromkeys(("image/jpeg", "image/png", "image/webp"), _BINARY)
_TEXT: Final = {
    "text/plain": {"schema": {"type": "string", "minLength": 1}, "example": "What a lovely day!"}
}


def content_body() -> dict[str, Any]:
    """Return the body of one content."""
    examples = {
        "a text": {"value": {"text": "What a lovely day!"}},
        "a picture and a text": {"value": {"image": PICTURE, "text": "What a lovely day!"}},
    }
    return _body(
        {
            **_PICTURES,
            **_TEXT,
            "application/json": {"schema": _CONTENT, "examples": examples},
            "multipart/form-data": _form(
                file={"type": "string", "format": "binary"}, text={"type": "string"}
            ),
        }
    )


def _list(name: str, item: dict[str, Any], example: list[dict[str, Any]]) -> dict[str, Any]:
    entries = {"type": "array", "items": item, "minItems": 1}
    schema = {
        "type": "object",
        "properties": {name: entries},
        "required": [name],
        "additionalProperties": False,
    }
    return {"schema": schema, "example": {name: example}}


def batch_body() -> dict[str, Any]:
    """Return the body of several contents."""
    properties = {"id": {"type": "string"}, **_CONTENT["properties"]}  # type: ignore[dict-item]
    item = {**_CONTENT, "properties": properties}
    example = [{"id": "1", "text": "What a lovely day!"}, {"id": "2", "image": PICTURE}]
    files = {"type": "array", "items": {"type": "string", "format": "binary"}}
    return _body(
        {
            "application/json": _list("items", item, example),
            "multipart/form-data": _form(file=files),
        }
    )


def events_body() -> dict[str, Any]:
    """Return the body of one event, or of several."""
    one: dict[str, Any] = content_body()["requestBody"]["content"]
    fields = {name: {"type": "string"} for name in ("id", "source", "time", "text", "image")}
    emotions = {"type": "array", "items": {"type": "object"}}
    event = {"type": "object", "properties": {**fields, "emotions": emotions}}
    several = _list("events", event, [{"source": "entrance", "text": "What a lovely day!"}])
    schema = {"oneOf": [_CONTENT, several["schema"]]}
    examples = {"one": {"value": {"text": "Hello"}}, "several": {"value": several["example"]}}
    return _body({**one, "application/json": {"schema": schema, "examples": examples}})


def feedback_body() -> dict[str, Any]:
    """Return the body of a correction."""
    example = {
        "id": "42",
        "face": 0,
        "predicted": "neutral",
        "label": "sadness",
        "note": "she had just heard the news",
        "receipt": "…",
    }
    schema = FeedbackRequest.model_json_schema()
    return _body({"application/json": {"schema": schema, "example": example}})

"""`POST /v1/events`: checks events as the flow will, and writes them to its topic."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Sequence
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import unquote

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse

from dataflows.content import JSON_TYPE
from dataflows.contract import Record, Rejection, format_time, open_envelope
from dataflows.dead_letters import Outgoing
from dataflows.settings import Settings
from models.errors import ContentError
from models.pictures import decode_picture
from models.scorer import Scorer
from serving.answers import Accepted
from serving.contents import Value, content_of, form_of, json_object, listed, media_type, one_value
from serving.documents import BODY, answers, events_body
from serving.problems import Problem, of_content
from serving.services import Services, in_time

__all__ = ["router"]

DEFAULT_SOURCE: Final = "api"
# What an entry of `events` may have beside its content.
ABOUT: Final = ("id", "source", "time")
Given = Annotated[str | None, Query(min_length=1, max_length=256)]


class _Event(NamedTuple):
    """A value, and what is said about it; None is not said."""

    value: Value
    id: str | None
    source: str | None
    time: str | None


def router(services: Services) -> APIRouter:
    """Return the route."""
    routes = APIRouter(tags=["events"])
    settings = services.settings

    @routes.post(
        "/v1/events",
        status_code=202,
        summary="Send events to Kafka",
        description="One event (`id`, `source` and `time` as parameters, or as headers `ce-id`, "
        "`ce-source`, `ce-time`), or several: the files of a form, or `events` in JSON. All are "
        "checked before any is sent. 202 means that Kafka has confirmed every one of them.",
        responses=answers(Accepted, *BODY, status=202),
        openapi_extra=events_body(),
    )
    async def events(
        request: Request, id: Given = None, source: Given = None, time: Given = None
    ) -> JSONResponse:
        about = [
            given or _header(request, f"ce-{name}")
            for name, given in (("id", id), ("source", source), ("time", time))
        ]
        async with services.bodies.read(request) as body:
            given = _events(body, request.headers.get("content-type"), about, settings)
            async with in_time(settings.api.timeout_s):
                now_ms = _now_ms()
                scorer = services.batcher.current()
                ids, records = await asyncio.to_thread(_checked, given, now_ms, settings, scorer)
                await services.publisher.publish(settings.kafka.topic, records, now_ms)
        services.metrics.events.inc(len(ids))
        return JSONResponse({"ids": ids}, 202)

    return routes


def _events(
    body: bytes, header: str | None, about: Sequence[str | None], settings: Settings
) -> list[_Event]:
    """Return the events of a request.

    Raises:
        Problem: the body has another form.
    """
    given_id, source, moment = about
    most, kind = settings.api.max_batch, media_type(header)
    if kind == JSON_TYPE and "events" in json_object(body):
        return [_entry(item, source, moment) for item in listed(body, "events", most)]
    if kind != "multipart/form-data":
        return [_Event(one_value(body, header), given_id, source, moment)]
    values = form_of(body, header or "", most)
    if given_id is not None and len(values) > 1:
        raise Problem("bad_parameter", f"there is one id for {len(values)} events; leave it out")
    return [_Event(value, given_id, source, moment) for value in values]


def _entry(item: dict[str, Any], source: str | None, moment: str | None) -> _Event:
    about = [item.pop(name, None) for name in ABOUT]
    for name, value in zip(ABOUT, about, strict=True):
        if value is not None and (not isinstance(value, str) or not value):
            raise Problem("bad_body", f"{name} of an event has to be a string that is not empty")
    given_id, own_source, own_time = about
    value = Value(json.dumps(item).encode(), JSON_TYPE)
    return _Event(value, given_id, own_source or source, own_time or moment)


def _checked(
    events: Sequence[_Event], now_ms: int, settings: Settings, scorer: Scorer
) -> tuple[list[str], list[Outgoing]]:
    """Return ids and records of events that the flow will accept; blocks while it decodes.

    Raises:
        Problem: one is not accepted; `index` says which.
    """
    ids, records = [], []
    for index, event in enumerate(events):
        given_id = event.id or str(uuid.uuid4())
        try:
            record = _record(event, given_id, now_ms)
            _check(record, event, now_ms, settings, scorer)
        except Problem as problem:
            problem.add(index=index)
            raise
        ids.append(given_id)
        records.append(record)
    return ids, records


def _record(event: _Event, given_id: str, now_ms: int) -> Outgoing:
    try:
        source = (event.source or DEFAULT_SOURCE).encode()
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", given_id.encode()),
            ("ce_source", source),
            ("ce_type", b"sentistream.event"),
            ("ce_time", (event.time or format_time(now_ms)).encode()),
        ]
    except UnicodeEncodeError as error:
        raise Problem("bad_header", f"id, source or time is not UTF-8: {error}") from error
    if event.value.content_type is not None:
        headers.append(("content-type", event.value.content_type.encode("latin-1", "replace")))
    return Outgoing(source, event.value.data, tuple(headers))


def _check(
    record: Outgoing, event: _Event, now_ms: int, settings: Settings, scorer: Scorer
) -> None:
    limits = settings.limits
    topic = settings.kafka.topic
    there = Record(topic, 0, 0, record.key, record.value, record.headers, now_ms)
    opened = open_envelope(there, limits, settings.ahead_ms)
    if isinstance(opened, Rejection):
        raise Problem(opened.reason, opened.detail)
    content = content_of(Value(event.value.data, opened.content_type), settings.api.max_text)
    if content.image is not None:
        try:
            decode_picture(content.image, limits)
        except ContentError as error:
            raise of_content(error) from error
    elif content.text is not None:
        # Beside a picture the flow leaves out a text that it cannot score.
        _check_text(content.text, scorer)


def _check_text(text: str, scorer: Scorer) -> None:
    if scorer.texts is None:
        detail = "no text bundle is in use, so the flow would reject it; activate one"
        raise Problem("no_text_bundle", detail)
    if not scorer.texts.words(text):
        raise Problem("empty_text", "the text has nothing but names, addresses and white space")


def _header(request: Request, name: str) -> str | None:
    """Return a header of CloudEvents, which is percent-encoded (HTTP binding, 3.1.3.2)."""
    value = request.headers.get(name)
    return unquote(value) if value else None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

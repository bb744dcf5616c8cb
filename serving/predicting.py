"""`POST /v1/predict` and `/v1/predict/batch`."""

from __future__ import annotations

import json
import uuid
from functools import partial
from typing import Annotated, Any, Final

import numpy as np
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse

from models.cleaning import clean_text
from models.errors import ContentError
from models.explaining import explanation
from models.prediction import prediction
from models.scorer import Content, Scored, Scorer
from serving.answers import Batch, Prediction
from serving.batching import Scoring
from serving.contents import Value, content_of, form_of, listed, media_type, one_value
from serving.documents import BODY, answers, batch_body, content_body
from serving.problems import Problem, of_content
from serving.receipts import Claim, Receipts
from serving.services import Services, in_time

__all__ = ["face_features", "router", "text_features"]

ID_CHARS: Final = 256
Id = Annotated[
    str | None, Query(min_length=1, max_length=ID_CHARS, description="Id of the prediction.")
]
Explain = Annotated[
    bool, Query(description="Add why: the words that moved a text, the nearest expressions.")
]
Receipt = Annotated[
    bool, Query(description="Add to each face and text a receipt, which a correction sends back.")
]


def router(services: Services) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["predict"])
    settings = services.settings.api

    @routes.post(
        "/v1/predict",
        summary="Score one picture, one text, or both",
        responses=answers(Prediction, *BODY),
        openapi_extra=content_body(),
    )
    async def predict(
        request: Request, id: Id = None, explain: Explain = False, receipt: Receipt = False
    ) -> JSONResponse:
        services.batcher.check_room()
        async with services.bodies.read(request) as body:
            value = one_value(body, request.headers.get("content-type"))
            content = content_of(value, settings.max_text)
            async with in_time(settings.timeout_s):
                (scoring,) = await services.batcher.score([content])
                if isinstance(scoring.result, ContentError):
                    raise of_content(scoring.result)
                given = id or str(uuid.uuid4())
                document = await _document(services, given, content, scoring, explain, receipt)
        return JSONResponse(document)

    @routes.post(
        "/v1/predict/batch",
        summary="Score several contents",
        description="A content that cannot be used is told in its place; the others are scored.",
        responses=answers(Batch, *BODY),
        openapi_extra=batch_body(),
    )
    async def predict_batch(
        request: Request, explain: Explain = False, receipt: Receipt = False
    ) -> JSONResponse:
        services.batcher.check_room()
        async with services.bodies.read(request) as body:
            items = _items(body, request.headers.get("content-type"), settings.max_batch)
            contents = [_content(value, settings.max_text) for _, value in items]
            usable = [content for content in contents if isinstance(content, Content)]
            async with in_time(settings.timeout_s):
                scorings = iter(await services.batcher.score(usable))
                results = []
                for (given, _), content in zip(items, contents, strict=True):
                    if isinstance(content, Problem):
                        services.metrics.refused(content.kind)
                        results.append(_error(given, content.kind, str(content)))
                        continue
                    scoring = next(scorings)
                    if isinstance(scoring.result, ContentError):
                        reason = scoring.result.reason
                        services.metrics.refused(reason)
                        results.append(_error(given, reason, str(scoring.result)))
                        continue
                    results.append(
                        await _document(services, given, content, scoring, explain, receipt)
                    )
        return JSONResponse({"results": results})

    return routes


def _items(body: bytes, header: str | None, most: int) -> list[tuple[str, Value]]:
    """Return ids and values of a batch.

    Raises:
        Problem: the body has another form.
    """
    if media_type(header) == "multipart/form-data":
        return [(str(uuid.uuid4()), value) for value in form_of(body, header or "", most)]
    if media_type(header) not in (None, "application/json"):
        detail = f"{media_type(header)!r} is neither application/json nor multipart/form-data"
        raise Problem("unsupported_type", detail)
    items = []
    for item in listed(body, "items", most):
        given = item.pop("id", None) or str(uuid.uuid4())
        if not isinstance(given, str) or len(given) > ID_CHARS:
            raise Problem("bad_body", f"an id has to be a string of at most {ID_CHARS} characters")
        items.append((given, Value(json.dumps(item).encode(), "application/json")))
    return items


def _content(value: Value, most_chars: int) -> Content | Problem:
    try:
        return content_of(value, most_chars)
    except Problem as problem:
        return problem


def _error(given: str, reason: str, detail: str) -> dict[str, Any]:
    return {"id": given, "error": detail, "reason": reason}


async def _document(
    services: Services,
    given: str,
    content: Content,
    scoring: Scoring,
    explain: bool,
    receipt: bool,
) -> dict[str, Any]:
    """Return the answer for one content; only what is asked for beside it costs more."""
    scored, scorer = scoring
    assert isinstance(scored, Scored)  # noqa: S101 - errors are told before
    document = prediction(given, scored, scorer.versions)
    if explain:
        document["explanation"] = await services.batcher.call(
            partial(explanation, scored, scorer.texts, content.text)
        )
    if receipt:
        work = partial(_add_receipts, document, scored, scorer, content, services.receipts)
        await services.batcher.call(work)
    return document


def _add_receipts(
    document: dict[str, Any],
    scored: Scored,
    scorer: Scorer,
    content: Content,
    receipts: Receipts,
) -> None:
    given, versions = document["id"], scorer.versions
    seen = [face for face in scored.faces if face.crop is not None]
    rows = face_features(scorer, scored)
    for index, (face, row) in enumerate(zip(seen, rows, strict=True)):
        predicted = face.observation.expression or ""
        claim = Claim(given, index, f"face/{versions['face']}", predicted, row)
        document["faces"][index]["receipt"] = receipts.seal(claim)
    if scored.text is not None:
        row = text_features(scorer, content.text or "")
        predicted = scored.text.observation.sentiment
        claim = Claim(given, None, f"text/{versions['text']}", predicted, row)
        document["text"]["receipt"] = receipts.seal(claim)


def face_features(scorer: Scorer, scored: Scored) -> list[tuple[float, ...]]:
    """Return the features of the faces of a picture, which the scorer has to keep the crops of."""
    crops = [face.crop for face in scored.faces if face.crop is not None]
    return _rows(scorer.faces.features(crops)) if crops else []


def text_features(scorer: Scorer, text: str) -> tuple[float, ...]:
    """Return the features of a text that was scored."""
    assert scorer.texts is not None  # noqa: S101 - or it would not have been scored
    cleaning = scorer.texts.bundle.manifest.preprocessing.cleaning
    return _rows(scorer.texts.features([clean_text(text, cleaning).text]))[0]


def _rows(features: np.ndarray[Any, np.dtype[np.float32]]) -> list[tuple[float, ...]]:
    return [tuple(row) for row in features.tolist()]

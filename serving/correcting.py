"""`POST /v1/feedback`: a person says what a face or a text really expresses."""

from __future__ import annotations

import base64
import io
from datetime import UTC, datetime
from typing import Final

import numpy as np
from fastapi import APIRouter
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse

from dataflows.feedback import Correction, correction_record, count_field
from models.errors import ContentError
from models.observation import EXPRESSIONS, SENTIMENTS
from models.scorer import Content
from serving.answers import FeedbackAccepted, FeedbackRequest
from serving.contents import Value, content_of, json_object
from serving.documents import answers, feedback_body
from serving.predicting import face_features, text_features
from serving.problems import Problem, of_content
from serving.receipts import Claim
from serving.services import Services, in_time

__all__ = ["router"]

QUALITY: Final = 95  # of a kept picture: the next encoder is to see what this one saw


def router(services: Services) -> APIRouter:
    """Return the route."""
    routes = APIRouter(tags=["feedback"])
    settings = services.settings

    @routes.post(
        "/v1/feedback",
        status_code=202,
        summary="Correct a prediction",
        description="What is kept are the labels, the note, and the features that the head saw: "
        "those of the receipt that came with the prediction, or of a picture or text that is "
        "scored again for this and then forgotten. 202 means that Kafka has confirmed it.",
        responses=answers(FeedbackAccepted, 408, 409, 413, 415, 422, 503, status=202),
        openapi_extra=feedback_body(),
    )
    async def feedback(request: Request) -> JSONResponse:
        async with services.bodies.read(request) as body:
            asked = _asked(body)
            classes = SENTIMENTS if asked.face is None else EXPRESSIONS
            for name in (asked.predicted, asked.label):
                if name not in classes:
                    raise Problem("unknown_label", f"{name!r} is none of {', '.join(classes)}")
            if asked.consent and not (settings.api.feedback_pictures and asked.image):
                raise Problem(
                    "no_pictures",
                    "a picture is kept only where SENTISTREAM_API__FEEDBACK_PICTURES is on and "
                    "`image` is given; leave `consent` out to send features alone",
                )
            async with in_time(settings.api.timeout_s):
                picture: str | None = None
                if asked.receipt is not None:
                    claim = services.receipts.open(asked.receipt)
                else:
                    claim, picture = await _scored_again(services, asked)
                _compare(asked, claim)
                correction = Correction(
                    id=claim.id,
                    face=claim.face,
                    time=datetime.now(UTC),
                    bundle=claim.bundle,
                    predicted=claim.predicted,
                    label=asked.label,
                    features=claim.features,
                    note=asked.note,
                    picture=picture if asked.consent else None,
                )
                await services.publisher.publish(
                    settings.kafka.feedback_topic,
                    [correction_record(correction)],
                    round(correction.time.timestamp() * 1000),
                )
        await services.figures.count_feedback(count_field(correction))
        services.metrics.feedback.labels(correction.predicted, correction.label).inc()
        stored = ["labels", "features", *(["note"] if asked.note else [])]
        if correction.picture is not None:
            stored.append("picture")
        return JSONResponse({"id": correction.id, "stored": stored}, 202)

    return routes


def _asked(body: bytes) -> FeedbackRequest:
    json_object(body)  # its message is better for what is no JSON at all
    try:
        asked = FeedbackRequest.model_validate_json(body)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'body'}: {item['msg']}"
            for item in error.errors(include_url=False, include_input=False)
        )
        raise Problem("bad_body", wrong) from None
    given = [name for name in ("receipt", "image", "text") if getattr(asked, name) is not None]
    if len(given) != 1:
        raise Problem(
            "bad_body", f"one of receipt, image and text is needed, not {given or 'none'}"
        )
    try:
        (asked.id + asked.note).encode()
    except UnicodeEncodeError as error:
        raise Problem("bad_body", f"id or note is not UTF-8: {error}") from error
    return asked


def _compare(asked: FeedbackRequest, claim: Claim) -> None:
    """See that what is corrected is what was predicted."""
    if (asked.id, asked.face) != (claim.id, claim.face):
        part = "the text" if claim.face is None else f"face {claim.face}"
        raise Problem("bad_receipt", f"the receipt is for {part} of event {claim.id!r}")
    if asked.predicted != claim.predicted:
        raise Problem(
            "prediction_differs",
            f"{claim.bundle} says {claim.predicted}, not {asked.predicted}; the model may have "
            "changed since: look at the new prediction, and correct that",
            predicted=claim.predicted,
        )


async def _scored_again(services: Services, asked: FeedbackRequest) -> tuple[Claim, str | None]:
    """Score what came with a correction, and return what a receipt would say, and the picture."""
    content = _content(services, asked)
    (scoring,) = await services.batcher.score([content])
    scored, scorer = scoring
    if isinstance(scored, ContentError):
        raise of_content(scored)
    versions = scorer.versions
    if asked.face is None:
        if scored.text is None:
            raise Problem("unknown_part", "a picture has no text; name a face by its index")
        row = await services.batcher.call(lambda: text_features(scorer, content.text or ""))
        predicted = scored.text.observation.sentiment
        return Claim(asked.id, None, f"text/{versions['text']}", predicted, row), None
    if asked.face >= len(scored.faces):
        detail = f"there are {len(scored.faces)} faces; the first has the index 0"
        raise Problem("unknown_part", detail)
    face = scored.faces[asked.face]
    rows = await services.batcher.call(lambda: face_features(scorer, scored))
    predicted = face.observation.expression or ""
    bundle = f"face/{versions['face']}"
    claim = Claim(asked.id, asked.face, bundle, predicted, rows[asked.face])
    return claim, None if face.crop is None or not asked.consent else _jpeg(face.crop)


def _content(services: Services, asked: FeedbackRequest) -> Content:
    if asked.text is not None:
        return content_of(
            Value(asked.text.encode(errors="replace"), "text/plain"),
            services.settings.api.max_text,
        )
    try:
        image = base64.b64decode(asked.image or "", validate=True)
    except ValueError as error:
        raise Problem("bad_base64", f"image is not base64: {error}") from error
    content = content_of(Value(image, None))
    if content.image is None:
        raise Problem("broken_image", "image is no JPEG, PNG or WebP picture")
    return content


def _jpeg(crop: NDArray[np.uint8]) -> str:
    file = io.BytesIO()
    Image.fromarray(crop).save(file, "JPEG", quality=QUALITY)
    return base64.b64encode(file.getvalue()).decode("ascii")

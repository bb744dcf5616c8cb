"""What can be wrong with a request, as problem details (RFC 9457).

Every kind stands in `KINDS`: its status, and its title. A content that cannot be used has the kind
of its reason in the message contract.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final, NamedTuple

from starlette.responses import Response

from dataflows.contract import REASONS
from models.errors import ContentError, SentiStreamError

__all__ = ["KINDS", "MEDIA_TYPE", "Kind", "Problem", "of_content", "of_status"]

MEDIA_TYPE: Final = "application/problem+json"
DETAIL_CHARS: Final = 1000  # a detail may quote what came in


class Kind(NamedTuple):
    """Status of the answer, and what the problem is called."""

    status: int
    title: str


# A reason of the contract that is not here is 422.
_STATUS_OF_REASON: Final = {"too_large": 413, "unknown_type": 415, "unsupported_type": 415}

KINDS: Final[dict[str, Kind]] = {
    "bad_request": Kind(400, "The request is not HTTP as it should be."),
    "unauthorized": Kind(401, "The token is missing or wrong."),
    "forbidden": Kind(403, "The request comes from another site, or names another host."),
    "not_found": Kind(404, "There is nothing at this address."),
    "unknown_source": Kind(404, "No event of this source has been seen."),
    "method_not_allowed": Kind(405, "The address does not take this method."),
    "slow_body": Kind(408, "The body did not arrive within `api.timeout_s`."),
    "prediction_differs": Kind(409, "The prediction is not the one that is corrected."),
    "body_too_large": Kind(413, "The body has more bytes than `api.max_body_bytes`."),
    "text_too_long": Kind(413, "A text has more characters than `api.max_text`."),
    "bad_body": Kind(422, "The body is not of the form that is asked for."),
    "bad_parameter": Kind(422, "A parameter has a wrong value."),
    "bad_receipt": Kind(422, "The receipt is none of this server, or is too old."),
    "too_many_items": Kind(422, "There are more contents or events than `api.max_batch`."),
    "unknown_label": Kind(422, "The label is none of the classes."),
    "unknown_part": Kind(422, "The event has no such face, or no text."),
    "no_pictures": Kind(422, "Pictures are not kept: `api.feedback_pictures` is off."),
    "too_many_requests": Kind(429, "More requests than `api.requests_per_minute`."),
    "busy": Kind(429, "Too much is waiting for the models, or in memory; try again."),
    "internal": Kind(500, "The server has failed; its log says how."),
    "kafka_away": Kind(503, "Kafka has not confirmed the record."),
    "redis_away": Kind(503, "Redis does not answer."),
    "too_slow": Kind(503, "No answer was found within `api.timeout_s`."),
    "not_ready": Kind(503, "Something that the API needs does not answer."),
    **{
        reason: Kind(_STATUS_OF_REASON.get(reason, 422), title) for reason, title in REASONS.items()
    },
}


class Problem(SentiStreamError):
    """A request that cannot be served, and why.

    Args:
        kind: one of `KINDS`.
        detail: in words, with the value that was wrong and what to do.
        retry_after_s: when it is worth trying again.
        extra: more members of the answer.
    """

    def __init__(
        self,
        kind: str,
        detail: str,
        retry_after_s: float | None = None,
        **extra: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.status = KINDS[kind].status
        self.retry_after_s = retry_after_s
        self._extra = extra

    def add(self, **extra: Any) -> None:  # noqa: ANN401
        """Add members to the answer."""
        self._extra |= extra

    def document(self) -> dict[str, Any]:
        """Return the problem details."""
        return {
            "type": f"urn:sentistream:problem:{self.kind}",
            "title": KINDS[self.kind].title,
            "status": self.status,
            "detail": str(self)[:DETAIL_CHARS],
            "reason": self.kind,
            **self._extra,
        }

    def headers(self) -> dict[str, str]:
        """Return the headers of the answer beside its type."""
        if self.retry_after_s is not None:
            return {"retry-after": str(max(1, math.ceil(self.retry_after_s)))}
        return {"www-authenticate": "Bearer"} if self.kind == "unauthorized" else {}

    def response(self) -> Response:
        """Return the answer."""
        body = json.dumps(self.document()).encode()
        return Response(body, self.status, self.headers(), MEDIA_TYPE)


def of_content(error: ContentError, **extra: Any) -> Problem:  # noqa: ANN401
    """Return the problem of a content that cannot be used."""
    return Problem(error.reason, str(error), **extra)


def of_status(status: int, detail: str) -> Problem:
    """Return the problem of a status that the framework has chosen."""
    found = next((name for name, kind in KINDS.items() if kind.status == status), "bad_request")
    return Problem(found, detail)

"""One line of the feed: a prediction from the `events` stream, made readable."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, NamedTuple

from models.observation import EXPRESSIONS, SENTIMENTS

__all__ = ["FeedRow"]


class FeedRow(NamedTuple):
    """A prediction as the feed shows it.

    Attributes:
        key: id of the stream entry, unique.
        time_ms: event time (epoch ms).
        source: source of the event.
        faces: number of faces found.
        label: expression of the most confident face, else the sentiment of the text, else empty.
        more: faces beside that one.
        confidence: probability of `label`, `None` when there is no label.
        valence: mean valence of the event, `None` when nothing was found.
        record: the prediction as it was written.
        text: sentiment of the text, empty without one.
        language: of the text, where it is none that the model was trained on; else empty.
    """

    key: str
    time_ms: int
    source: str
    faces: int
    label: str
    more: int
    confidence: float | None
    valence: float | None
    record: str = ""
    text: str = ""
    language: str = ""

    @classmethod
    def parse(cls, key: str, text: str) -> FeedRow:
        """Read one prediction record.

        Raises:
            ValueError: the record is not what the contract says.
        """
        try:
            record: dict[str, Any] = json.loads(text)
            faces: list[dict[str, Any]] = record["faces"]
            written = record.get("text")
            label, confidence = "", None
            said = str(written.get("sentiment") or record["sentiment"] or "") if written else ""
            if said and said not in SENTIMENTS:
                raise ValueError(f"unknown sentiment {said!r}")
            if faces:
                best = max(faces, key=lambda face: float(face["confidence"]))
                label, confidence = str(best["emotion"]), float(best["confidence"])
            elif written:
                label = said
                confidence = _optional(written.get("confidence"))
            if label and label not in EXPRESSIONS and label not in SENTIMENTS:
                raise ValueError(f"unknown label {label!r}")
            return cls(
                key=key,
                time_ms=round(datetime.fromisoformat(record["time"]).timestamp() * 1000),
                source=str(record["source"]),
                faces=len(faces),
                label=label,
                more=max(0, len(faces) - 1),
                confidence=confidence,
                valence=_optional(record.get("valence")),
                record=text,
                text=said,
                language=str(written.get("language") or "")
                if written and written.get("foreign")
                else "",
            )
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"not a prediction record: {error!r}") from error


def _optional(value: Any) -> float | None:  # noqa: ANN401
    return None if value is None else float(value)

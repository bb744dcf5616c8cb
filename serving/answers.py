"""What the API answers, for the OpenAPI document; tests hold the answers against it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "Accepted",
    "Batch",
    "FeedbackAccepted",
    "FeedbackRequest",
    "Models",
    "Panes",
    "Prediction",
    "ProblemDetails",
    "Rolling",
    "Sources",
    "State",
]

Shares = dict[str, float]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ProblemDetails(BaseModel):
    """Problem details of RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="A URN that ends in `reason`.")
    title: str
    status: int
    detail: str = Field(description="What was wrong, and what to do.")
    reason: str = Field(description="Short stable code.")


class Face(_Answer):
    """One face."""

    box: list[int] | None = Field(description="Left, top, right, bottom in pixels.")
    emotion: str
    confidence: float
    probabilities: Shares
    valence: float
    receipt: str | None = Field(default=None, description="Only with `receipt=true`.")


class Text(_Answer):
    """The text."""

    sentiment: str
    confidence: float
    probabilities: Shares
    valence: float
    language: str | None
    foreign: bool
    cut: bool
    receipt: str | None = Field(default=None, description="Only with `receipt=true`.")


class Prediction(_Answer):
    """What `sentistream predict` prints for one file."""

    id: str
    faces: list[Face]
    text: Text | None
    sentiment: str | None
    valence: float | None
    models: dict[str, str | None]
    explanation: dict[str, Any] | None = Field(default=None, description="With `explain=true`.")


class ItemError(_Answer):
    """A content of a batch that could not be used."""

    id: str
    error: str
    reason: str


class Batch(_Answer):
    """One result per content, in order."""

    results: list[Prediction | ItemError]


class Accepted(_Answer):
    """Events that Kafka has confirmed."""

    ids: list[str]


class FeedbackRequest(BaseModel):
    """A correction. One of `receipt`, `image` and `text` says what was predicted."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(min_length=1, max_length=256, description="Id of the event.")
    face: int | None = Field(
        default=None, ge=0, le=10_000, description="Index of the face; null is the text."
    )
    predicted: str = Field(max_length=32, description="The class that was given.")
    label: str = Field(max_length=32, description="The class that is right.")
    note: str = Field(default="", max_length=1000)
    receipt: str | None = Field(default=None, description="From `predict?receipt=true`.")
    image: str | None = Field(default=None, description="The picture in base64, scored again.")
    text: str | None = Field(default=None, description="The text, scored again.")
    consent: bool = Field(
        default=False,
        description="The owner of the face agrees that its picture is kept (needs `image`, and "
        "`SENTISTREAM_API__FEEDBACK_PICTURES`).",
    )


class FeedbackAccepted(_Answer):
    """A correction that Kafka has confirmed."""

    id: str
    stored: list[str] = Field(description="What is kept of it.")


class Source(_Answer):
    """A source."""

    source: str
    newest_ms: int = Field(description="Newest event time, epoch milliseconds.")


class Sources(_Answer):
    """All sources."""

    sources: list[Source]


class Rolling(_Answer):
    """Rolling windows by seconds."""

    source: str
    windows: dict[str, dict[str, float | None]]


class Panes(_Answer):
    """Panes of one source."""

    source: str
    resolution: int
    from_: int = Field(alias="from")
    to: int
    panes: list[dict[str, int]]


class Refusal(_Answer):
    """A version that `ACTIVE` names and that cannot be used."""

    version: str
    reason: str | None
    at: float | None = Field(description="When it was last tried, epoch s.")


class Model(_Answer):
    """A bundle in use."""

    version: str
    created: str
    architecture: str
    classes: list[str]
    metrics: dict[str, Any]
    since: float | None = Field(description="When this process began to use it, epoch s.")
    refused: Refusal | None


class Models(_Answer):
    """The bundles in use."""

    face: Model
    text: Model | None


class State(_Answer):
    """Whether the parts are there."""

    status: str
    models: str | None = None
    redis: str | None = None
    kafka: str | None = None

"""The step that scores: from arrivals to events and rejections."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from dataflows.content import JSON_TYPE, read_content
from dataflows.contract import Envelope, Rejection, format_time
from dataflows.drift import Model, Seen, model_of, seen_of
from dataflows.edge import Row, events_of, read_faces
from dataflows.events import Event
from dataflows.rejections import RejectionLimits
from dataflows.shadow import Shadow
from dataflows.source import Arrival
from dataflows.stopping import STOPPING
from dataflows.telemetry import TELEMETRY
from models.bundle import AnyBundle
from models.errors import ContentError
from models.isolation import score_apart
from models.prediction import prediction
from models.scorer import Content, Scored, Scorer

__all__ = ["Score", "accepted", "rejected"]

# `json.dumps` would make an encoder for every event.
_to_json = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class Score:
    """Reads and scores events in pieces of a bounded size, each by one scorer."""

    def __init__(
        self,
        current: Callable[[], Scorer],
        batch: int,
        limits: RejectionLimits,
        shadow: Shadow | None = None,
    ) -> None:
        """Score with whatever `current` returns at the begin of a piece of `batch` events."""
        self._current = current
        self._shadow = shadow
        self._batch = batch
        self._limits = limits
        self._named: tuple[Scorer, dict[str, Model]] | None = None

    def __call__(self, arrivals: list[Arrival]) -> Iterable[Event | Rejection]:
        """Return one result per arrival, in order."""
        for start in range(0, len(arrivals), self._batch):
            yield from self._score(arrivals[start : start + self._batch], self._current())

    def _score(self, arrivals: Sequence[Arrival], scorer: Scorer) -> Iterable[Event | Rejection]:
        versions = scorer.versions
        elsewhere = dict.fromkeys(versions)  # no model of ours has seen it
        results: list[Event | Rejection | None] = [None] * len(arrivals)
        content = _Sorted()
        for index, arrival in enumerate(arrivals):
            if isinstance(arrival, Rejection):
                results[index] = arrival
                continue
            try:
                content.add(index, arrival)
            except ContentError as error:
                results[index] = Rejection(arrival.record, error.reason, str(error))
        scored_elsewhere = events_of(content.envelopes, content.faces, elsewhere)
        for index, event in zip(content.indices, scored_elsewhere, strict=True):
            results[index] = event
        # If the models are at fault, everything fails, and the limits of rejections stop the flow.
        begun = time.perf_counter()
        scores = score_apart(scorer, content.contents)
        TELEMETRY.scored.increment(len(scores))
        TELEMETRY.scoring_us.increment(round((time.perf_counter() - begun) * 1e6))
        if self._shadow is not None:
            ids = [envelope.id for _, envelope in content.waiting]
            self._shadow.offer(ids, content.contents, scores, versions)
        for (index, envelope), one, score in zip(
            content.waiting, content.contents, scores, strict=True
        ):
            if isinstance(score, ContentError):
                results[index] = Rejection(envelope.record, score.reason, str(score))
            else:
                by = versions if one.faces is None else elsewhere
                text = _prediction(envelope, score, by)
                seen = self._seen(score, scorer)
                results[index] = Event(envelope, score.observations, text, score.faces, seen)
        done = [result for result in results if result is not None]
        reasons = [result.reason if isinstance(result, Rejection) else None for result in done]
        TELEMETRY.count_rejected([reason for reason in reasons if reason is not None])
        if too_many := self._limits.count(reasons):
            STOPPING.request(too_many)
        return done

    def _seen(self, scored: Scored, scorer: Scorer) -> tuple[Seen, ...]:
        """Return what counts for drift: what was scored here, and not at the edge."""
        if not (scored.faces or scored.text):
            return ()
        models = self._models(scorer)
        faces = tuple(
            seen_of(models["face"], face.observation, face.coordinates)
            for face in scored.faces
            if face.box is not None
        )
        text = scored.text
        if text is None:
            return faces
        return (*faces, seen_of(models["text"], text.observation, text.coordinates))

    def _models(self, scorer: Scorer) -> dict[str, Model]:
        """Return the models of a scorer by kind, made once for each scorer."""
        if self._named is None or self._named[0] is not scorer:
            bundles: list[AnyBundle] = [scorer.bundle]
            if scorer.texts is not None:
                bundles.append(scorer.texts.bundle)
            made = (model_of(b.manifest.name, b.manifest.version, b.reference) for b in bundles)
            self._named = scorer, {model.kind: model for model in made}
        return self._named[1]


class _Sorted:
    """Contents of a batch by what is to be done with them, each with its place in the batch.

    Attributes:
        indices: of those that were scored elsewhere, with `envelopes` and `faces`.
        waiting: place and envelope of those for the models, with `contents`.
    """

    def __init__(self) -> None:
        self.indices: list[int] = []
        self.envelopes: list[Envelope] = []
        self.faces: list[Sequence[Row]] = []
        self.waiting: list[tuple[int, Envelope]] = []
        self.contents: list[Content] = []

    def add(self, index: int, envelope: Envelope) -> None:
        """Read the content of an event.

        Raises:
            ContentError: with one of the reasons of the contract.
        """
        value, declared = envelope.value, envelope.content_type
        faces: Sequence[Row] | None = read_faces(value) if declared == JSON_TYPE else None
        if faces is None:
            content = read_content(value, declared)
            faces = content.faces
            if faces is None:
                self.waiting.append((index, envelope))
                self.contents.append(content)
                return
        self.indices.append(index)
        self.envelopes.append(envelope)
        self.faces.append(faces)


def _prediction(envelope: Envelope, scored: Scored, versions: Mapping[str, str | None]) -> str:
    document = prediction(envelope.id, scored, versions)
    document = {
        "id": document.pop("id"),
        "source": envelope.source,
        "time": format_time(envelope.time_ms),
        **document,
    }
    return _to_json(document)


def accepted(results: list[Event | Rejection]) -> list[Event]:
    """Keep events alone."""
    return [result for result in results if isinstance(result, Event)]


def rejected(results: list[Event | Rejection]) -> list[Rejection]:
    """Keep rejections alone."""
    return [result for result in results if isinstance(result, Rejection)]

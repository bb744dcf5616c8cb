"""An event that upsets the models is a dead letter; its neighbours are scored."""

import json
from collections.abc import Sequence

import pytest

from dataflows.contract import Envelope, Record, Rejection
from dataflows.events import Event
from dataflows.rejections import RejectionLimits
from dataflows.scoring import Score
from dataflows.settings import RejectionSettings
from dataflows.stopping import STOPPING, Stopping
from models.errors import ContentError
from models.scorer import Content, Scored, Scorer

POISON = b"\xff\xd8\xffpoison"


class Delicate(Scorer):
    """A scorer that finds nothing and that one picture breaks."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    @property
    def versions(self) -> dict[str, str | None]:
        return {"face": "0", "text": None}

    def score(self, contents: Sequence[Content]) -> list[Scored | ContentError]:
        self.batches.append(len(contents))
        if any(content.image == POISON for content in contents):
            raise RuntimeError("a library gave up")
        return [Scored() for _ in contents]


def picture(offset: int, value: bytes) -> Envelope:
    record = Record("events", 0, offset, None, value, (), 1000)
    return Envelope(record, f"events/0/{offset}", "a", 1000, "image/jpeg")


def score(values: list[bytes], in_a_row: int = 0) -> list[Event | Rejection]:
    limits = RejectionLimits(RejectionSettings(in_a_row=in_a_row))
    arrivals = [picture(offset, value) for offset, value in enumerate(values)]
    return list(Score(Delicate, 4, limits)(arrivals))


def test_an_event_that_breaks_the_models_is_rejected_alone() -> None:
    fine = b"\xff\xd8\xfffine"
    results = score([fine, POISON, fine, fine, fine])
    assert [isinstance(result, Event) for result in results] == [True, False, True, True, True]
    rejection = results[1]
    assert isinstance(rejection, Rejection)
    assert rejection.reason == "scoring_failed"
    assert rejection.detail == "RuntimeError: a library gave up"
    assert rejection.record.offset == 1


def test_what_was_scored_elsewhere_names_no_model_of_ours() -> None:
    limits = RejectionLimits(RejectionSettings())
    seen = b'{"emotions": [{"anger": 1}]}'
    values = (
        (b"\xff\xd8\xff", "image/jpeg"),
        (seen, "application/json"),  # read in bulk
        (seen, None),  # and by itself
    )
    arrivals = [
        picture(offset, value)._replace(content_type=declared)
        for offset, (value, declared) in enumerate(values)
    ]
    events = [one for one in Score(Delicate, 4, limits)(arrivals) if isinstance(one, Event)]
    named = [json.loads(event.prediction)["models"] for event in events]
    assert named == [{"face": "0", "text": None}, *[{"face": None, "text": None}] * 2]


def test_too_many_rejections_ask_for_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    stopping = Stopping()
    monkeypatch.setattr("dataflows.scoring.STOPPING", stopping)
    score([POISON] * 3, in_a_row=4)
    assert not stopping.requested
    score([POISON] * 4, in_a_row=4)
    assert stopping.requested
    assert not STOPPING.requested

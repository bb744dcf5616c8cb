"""Pictures, texts and both in one stream, against what a plain sequential program computes."""

from __future__ import annotations

import base64
import io
import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image
from streams import Sent, Stream
from text_bundles import LIGHT, TINY, sentence

from dataflows.content import read_content
from dataflows.contract import format_time
from dataflows.panes import EMPTY, FIELDS, Pane
from models.errors import ContentError
from models.observation import EXPRESSIONS, SENTIMENTS
from models.options import TextOptions
from models.scorer import Scored, Scorer
from models.wheels import fetch

pytestmark = pytest.mark.integration

NOW_S = 1_790_000_000
SENT_MS = (NOW_S + 900) * 1000
JSON, TEXT = "application/json", "text/plain"
EXPRESSION_FIELDS = [name for name in FIELDS if name == "neutral_face" or name in EXPRESSIONS[:-1]]
# Neither a sum of valence nor one of confidence: those move by one when a probability lies within
# float noise of a rounding edge, and the noise depends on which faces are scored together.
COUNTS = ("n", "events", *SENTIMENTS, *EXPRESSION_FIELDS)
BAD = {
    "bad_utf8": (b"\xff\xfe\xfa", TEXT),
    "empty_text": (b"@ann https://t.co/x", TEXT),
    "bad_json": (b'{"text": 5}', JSON),
}


class Given(NamedTuple):
    """An event that is sent."""

    source: str
    seconds: float
    value: bytes
    content_type: str | None


def pictures() -> list[bytes]:
    """Return three small pictures: of five faces, of one, and of none."""
    found = [Image.new("RGB", (200, 200), "grey")]
    for name in ("multi_face", "posed_happiness"):
        image = Image.open(fetch(name)).convert("RGB")
        found.append(image.resize((420, round(420 * image.height / image.width))))
    values = []
    for image in found:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG")
        values.append(buffer.getvalue())
    return values


def mixture(count: int) -> Iterator[Given]:
    """Yield events of every kind, in no order of time."""
    generator = random.Random(9)
    photos = pictures()
    special = [
        *("\0zero\0love\0", "😀😀", "love " * 200_000, "שלום עולם love", "e\u0301 joy\u200d"),
        *("&amp; hate", "#LoveThis", "so sad", "Das ist ganz wunderbar, vielen Dank euch allen"),
    ]

    def words() -> str:
        if generator.random() < 0.15:
            return generator.choice(special)
        return sentence(generator, generator.choice(SENTIMENTS), generator.randrange(1, 20))

    def both() -> dict[str, str]:
        photo = base64.b64encode(generator.choice(photos)).decode()
        return {"image": photo, "text": generator.choice([words(), "", "@ann"])}

    def edge() -> list[dict[str, float]]:
        return [{"anger": 0.25, "happiness": 0.75}] * generator.randrange(3)

    for _ in range(count):
        seconds = NOW_S + generator.randrange(0, 90_000) / 1000
        kind = generator.choices(range(6), [2, 6, 3, 2, 2, 1])[0]
        source, value, content_type = (
            ("camera", generator.choice(photos), generator.choice(["image/jpeg", None])),
            ("chat", words().encode(), generator.choice([TEXT, None])),
            ("chat", json.dumps({"text": words()}).encode(), JSON),
            ("posts", json.dumps(both()).encode(), JSON),
            ("posts", json.dumps({"emotions": edge()}).encode(), JSON),
            ("bad", *generator.choice(list(BAD.values()))),
        )[kind]
        if source == "chat" and b"\0" in value:
            content_type = TEXT  # without a type it looks like no text
        yield Given(source, seconds, value, content_type)


def one_by_one(events: list[Given], scorer: Scorer) -> list[tuple[Given, Pane]]:
    """Return the pane of each event that is none of the bad ones, scored by itself."""
    found = []
    for event in events:
        if event.source != "bad":
            (result,) = scorer.score([read_content(event.value, event.content_type)])
            assert isinstance(result, Scored), result
            found.append((event, Pane.of(result.observations)))
    return found


def summed(single: list[tuple[Given, Pane]], resolution: int) -> dict[tuple[str, int], Pane]:
    """What a plain sequential program computes."""
    panes: dict[tuple[str, int], Pane] = {}
    for event, pane in single:
        for name in (event.source, "*"):
            bucket = math.floor(event.seconds) // resolution * resolution
            panes[name, bucket] = panes.get((name, bucket), EMPTY).merge(pane)
    return panes


@pytest.mark.parametrize("version", [TINY, LIGHT])
def test_a_mixed_stream_has_the_panes_of_a_plain_sequential_program(
    stream: Stream, bundles: Path, version: str
) -> None:
    events = list(mixture(300))
    scorer = Scorer.from_folder(bundles, text=TextOptions(bundle=version))
    sent = []
    for event in events:
        headers = {"ce_time": format_time(round(event.seconds * 1000)).encode()}
        if event.content_type is not None:
            headers["content-type"] = event.content_type.encode()
        sent.append(Sent(event.value, headers, event.source, timestamp_ms=SENT_MS))
    stream.send(sent)
    variables = {"SENTISTREAM_BUNDLES": str(bundles), "SENTISTREAM_TEXT__BUNDLE": version}
    with stream.flow("-w", "2", SENTISTREAM_BATCH="24", **variables) as flow:
        flow.settle(len(sent))

    wrong = {"bad": sorted(reason(event) for event in events if event.source == "bad")}
    assert {source: sorted(found) for source, found in stream.reasons().items()} == wrong
    single = one_by_one(events, scorer)
    for resolution in (1, 10, 60):
        found, oracle = stream.panes(resolution), summed(single, resolution)
        assert found.keys() == oracle.keys()
        for key, pane in oracle.items():
            for name in COUNTS:
                assert getattr(found[key], name) == getattr(pane, name), (key, name)
            faces = sum(getattr(pane, name) for name in EXPRESSION_FIELDS)
            if key[0] == "chat":
                assert faces == 0
                assert pane.n == pane.events
            assert abs(found[key].valence_sum - pane.valence_sum) <= pane.n
            assert abs(found[key].confidence_sum - pane.confidence_sum) <= pane.n
    predictions = [
        json.loads(record.value() or b"")
        for record in stream.records(stream.settings.kafka.predictions_topic)
    ]
    assert len(predictions) == sum(event.source != "bad" for event in events)
    for line in predictions:
        if line["source"] == "chat":
            assert line["faces"] == []
            assert line["sentiment"] == line["text"]["sentiment"]
            assert line["models"]["text"] == version
        if line["source"] == "camera":
            assert line["text"] is None
    posts = [line for line in predictions if line["source"] == "posts"]
    assert any(len(line["faces"]) == 5 and line["text"] for line in posts)
    assert any(line["faces"] and not line["text"] for line in posts)
    assert any(line["text"] and not line["faces"] for line in posts)
    assert any(line["text"] and line["text"]["cut"] for line in predictions)
    assert any(line["text"] and line["text"]["foreign"] for line in predictions)


def reason(event: Given) -> str:
    """Return why a bad event is rejected."""
    return next(name for name, given in BAD.items() if given == (event.value, event.content_type))


def test_the_reasons_of_the_bad_events_are_those_of_their_content(bundles: Path) -> None:
    scorer = Scorer.from_folder(bundles)
    for name, (value, content_type) in BAD.items():
        try:
            (found,) = scorer.score([read_content(value, content_type)])
        except ContentError as error:
            found = error
        assert isinstance(found, ContentError)
        assert found.reason == name

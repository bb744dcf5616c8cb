"""Models that change while the flow runs: nothing is lost, and what is broken is refused."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bundle_versions import FACE, add_version, own_bundles
from streams import Flow, Sent, Stream
from text_bundles import LIGHT, TINY, sentence
from waiting import wait_for

from dataflows.contract import format_time
from dataflows.panes import EMPTY, Pane
from models.activation import activate, rollback
from models.observation import SENTIMENTS
from models.scorer import Content, Scored, Scorer
from models.wheels import fetch

pytestmark = pytest.mark.integration

NOW_S = 1_790_000_000
SENT_MS = (NOW_S + 900) * 1000


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Return bundles of this test, with a second version of the text bundle that scores alike."""
    own_bundles(tmp_path)
    add_version(tmp_path / "text", TINY, "tiny-2")
    return tmp_path


class Chat:
    """Texts that are sent bit by bit, and the panes of a plain sequential program."""

    def __init__(self, stream: Stream, scorer: Scorer) -> None:
        self._stream, self._scorer = stream, scorer
        self._generator = random.Random(5)
        self.sent = 0
        self.panes: dict[tuple[str, int], Pane] = {}

    def send(self, count: int) -> None:
        """Send so many."""
        made = [
            (f"chat-{self._generator.randrange(3)}", NOW_S + (self.sent + index) / 20, words)
            for index, words in enumerate(self._texts(count))
        ]
        scores = self._scorer.score([Content(text=words) for _, _, words in made])
        for (source, seconds, _), found in zip(made, scores, strict=True):
            assert isinstance(found, Scored)
            for name in (source, "*"):
                key = name, math.floor(seconds)
                pane = Pane.of(found.observations)
                self.panes[key] = self.panes.get(key, EMPTY).merge(pane)
        self._stream.send(
            [
                Sent(
                    words.encode(),
                    {
                        "ce_time": format_time(round(seconds * 1000)).encode(),
                        "content-type": b"text/plain",
                    },
                    source,
                    timestamp_ms=SENT_MS,
                )
                for source, seconds, words in made
            ]
        )
        self.sent += count

    def _texts(self, count: int) -> Iterator[str]:
        for _ in range(count):
            generator = self._generator
            yield sentence(generator, generator.choice(SENTIMENTS), generator.randrange(2, 12))

    def check(self) -> None:
        """See that Redis has these panes; sums may differ by one for a face on a rounding edge."""
        found = self._stream.panes(1)
        assert found.keys() == self.panes.keys()
        for key, pane in self.panes.items():
            for name in ("n", "events", *SENTIMENTS):
                assert getattr(found[key], name) == getattr(pane, name), (key, name)
            assert abs(found[key].valence_sum - pane.valence_sum) <= pane.n
            assert abs(found[key].confidence_sum - pane.confidence_sum) <= pane.n


class Door:
    """Pictures of one face, one a second of event time, each with the pane that it makes."""

    def __init__(self, stream: Stream, scorer: Scorer) -> None:
        self._stream = stream
        self._photo = fetch("single_face").read_bytes()
        (found,) = scorer.score([Content(image=self._photo)])
        assert isinstance(found, Scored)
        self.pane = Pane.of(found.observations)
        self.sent = 0

    def send(self, count: int) -> None:
        """Send a tenth of so many, since pictures take longer than texts."""
        for _ in range(count // 10):
            time_ms = (NOW_S + self.sent) * 1000
            headers = {"ce_time": format_time(time_ms).encode(), "content-type": b"image/jpeg"}
            self._stream.send([Sent(self._photo, headers, "door", timestamp_ms=SENT_MS)])
            self.sent += 1

    def check(self) -> None:
        """See that each second has this pane, whichever copy of the model has scored it."""
        found = self._stream.panes(1)
        seconds = range(NOW_S, NOW_S + self.sent)
        assert found.keys() == {(name, second) for name in ("door", "*") for second in seconds}
        for pane in found.values():
            assert pane._replace(
                valence_sum=0, valence_sq_sum=0, confidence_sum=0
            ) == self.pane._replace(valence_sum=0, valence_sq_sum=0, confidence_sum=0)
            assert abs(pane.valence_sum - self.pane.valence_sum) <= 2
            assert abs(pane.confidence_sum - self.pane.confidence_sum) <= 2


def beat(stream: Stream) -> dict[str, Any]:
    """Return what the one process of the flow tells of its models."""
    for key in stream.redis.scan_iter(stream.keys.worker("*")):
        fields = stream.redis.hgetall(key)
        return {
            name: json.loads(fields[name])
            for name in ("models", "model_changes", "shadow")
            if name in fields
        }
    return {}


def send_until(
    stream: Stream, flow: Flow, holds: Callable[[dict[str, Any]], bool], chat: Chat | Door
) -> None:
    """Go on sending until a heartbeat is as it should be."""

    def told() -> bool:
        chat.send(20)
        return bool(found := beat(stream)) and holds(found)

    wait_for(told, lambda: f"{beat(stream)}\n{flow.said()}", flow.check)


def test_models_change_under_load_without_a_lost_event(stream: Stream, own: Path) -> None:
    """A shadow is compared meanwhile, and changes nothing either."""
    chat = Chat(stream, Scorer.from_folder(own))
    shadow = {"SENTISTREAM_SHADOW__TEXT": LIGHT, "SENTISTREAM_SHADOW__SHARE": "0.5"}
    variables = {"SENTISTREAM_BUNDLES": str(own), "SENTISTREAM_BATCH": "8"} | shadow
    with stream.flow("-w", "2", **variables) as flow:
        flow.wait_started()
        chat.send(200)
        activate(own, "text", "tiny-2")
        send_until(stream, flow, lambda told: told["models"]["text"] == "tiny-2", chat)
        assert beat(stream)["models"]["face"] == FACE
        assert beat(stream)["model_changes"]["text"]["previous"] == TINY

        broken = add_version(own / "text", TINY, "tiny-3")
        (broken / "head.ubj").write_bytes(b"no trees")
        (own / "text" / "ACTIVE").write_text("tiny-3\n")
        send_until(
            stream,
            flow,
            lambda told: told["model_changes"]["text"].get("refused") == "tiny-3",
            chat,
        )
        assert beat(stream)["models"]["text"] == "tiny-2"
        assert "text model 'tiny-3' is refused, tiny-2 goes on" in flow.said()
        assert "head.ubj was changed" in flow.said()

        (own / "text" / "ACTIVE").write_text("tiny-2\n")
        assert rollback(own, "text") == ("tiny-2", TINY)
        send_until(stream, flow, lambda told: told["models"]["text"] == TINY, chat)
        chat.send(200)
        send_until(stream, flow, lambda told: told["shadow"][0]["active"] == TINY, chat)
        flow.settle(chat.sent)
        (found,) = beat(stream)["shadow"]
    assert (found["kind"], found["shadow"], found["failed"]) == ("text", LIGHT, 0)
    assert 0 < found["agreed"] <= found["observations"] == found["events"] < chat.sent
    assert stream.count(stream.settings.kafka.dlq_topic) == 0
    chat.check()
    versions = predicted_by(stream, "text")
    assert len(versions) == chat.sent
    assert set(versions) == {TINY, "tiny-2"}


def test_a_face_model_on_trial_is_compared_activated_and_taken_back(
    stream: Stream, own: Path
) -> None:
    """It is a copy of the one in use, so it agrees in everything, and every pane stays the same."""
    add_version(own / "face", FACE, "face-2")
    door = Door(stream, Scorer.from_folder(own))
    shadow = {"SENTISTREAM_SHADOW__FACE": "face-2", "SENTISTREAM_SHADOW__SHARE": "1"}
    variables = {"SENTISTREAM_BUNDLES": str(own), "SENTISTREAM_BATCH": "4"} | shadow
    with stream.flow("-w", "1", **variables) as flow:
        flow.wait_started()
        send_until(stream, flow, lambda told: compared(told) >= 5, door)
        (found,) = beat(stream)["shadow"]
        assert (found["active"], found["shadow"]) == (FACE, "face-2")
        assert found["agreed"] == found["observations"]
        assert abs(found["confidence_sum"]) <= 2 * found["observations"]
        activate(own, "face", "face-2")
        send_until(stream, flow, lambda told: told["models"]["face"] == "face-2", door)
        broken = add_version(own / "face", FACE, "face-3")
        (broken / "encoder.onnx").unlink()
        (own / "face" / "ACTIVE").write_text("face-3\n")
        send_until(
            stream,
            flow,
            lambda told: told["model_changes"]["face"].get("refused") == "face-3",
            door,
        )
        (own / "face" / "ACTIVE").write_text("face-2\n")
        assert rollback(own, "face") == ("face-2", FACE)
        send_until(stream, flow, lambda told: told["models"]["face"] == FACE, door)
        door.send(40)
        flow.settle(door.sent)
    assert stream.count(stream.settings.kafka.dlq_topic) == 0
    door.check()
    versions = predicted_by(stream, "face")
    assert len(versions) == door.sent
    assert set(versions) == {FACE, "face-2"}


def predicted_by(stream: Stream, kind: str) -> list[str]:
    """Return the version of the model of each prediction on the topic."""
    records = stream.records(stream.settings.kafka.predictions_topic)
    return [json.loads(record.value() or b"")["models"][kind] for record in records]


def compared(told: dict[str, Any]) -> int:
    return sum(one["events"] for one in told["shadow"])

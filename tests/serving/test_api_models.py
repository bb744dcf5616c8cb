"""Models that change while the API answers: no request fails, and what is broken is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from bundle_versions import FACE, add_version, own_bundles
from text_bundles import TINY
from waiting import PATIENCE_S, wait_for

from models.activation import activate, rollback
from models.live import LiveScorer
from models.scorer import Content, Scored, Scorer

pytestmark = pytest.mark.integration

CLIENTS = 4
WORDS = "I love this wonderful day"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Return bundles of this test, with second versions that score alike."""
    own_bundles(tmp_path)
    add_version(tmp_path / "text", TINY, "tiny-2")
    add_version(tmp_path / "face", FACE, "face-2")
    return tmp_path


@pytest.fixture
def live(own: Path) -> Iterator[LiveScorer]:
    live = LiveScorer.from_folder(own, threads=2, keep_crops=True)
    yield live
    live.stop()


class Clients:
    """Ask for a picture and for a text in turn, until they are told to stop."""

    def __init__(self, url: str, photo: bytes) -> None:
        self._url, self._photo = url, photo
        self._end = threading.Event()
        self.answers: list[tuple[str, int, Any]] = []
        self._pool = ThreadPoolExecutor(CLIENTS)
        self._running = [self._pool.submit(self._ask) for _ in range(CLIENTS)]

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=PATIENCE_S) as client:
            while not self._end.is_set():
                for kind, body in (
                    ("face", {"content": self._photo}),
                    ("text", {"json": {"text": WORDS}}),
                ):
                    answer = client.post("/v1/predict?id=x", **body)
                    self.answers.append((kind, answer.status_code, answer.json()))

    def stop(self) -> None:
        self._end.set()
        self._pool.shutdown()
        for one in self._running:
            one.result()


@pytest.fixture
def start_clients() -> Iterator[Callable[..., Clients]]:
    started: list[Clients] = []

    def start(*given: Any) -> Clients:
        started.append(Clients(*given))
        return started[-1]

    yield start
    for clients in started:
        clients.stop()


def test_models_change_under_load_without_a_failed_request(
    start_api: Callable[..., Any],
    start_clients: Callable[..., Clients],
    live: LiveScorer,
    own: Path,
    photo: bytes,
) -> None:
    contents = {"face": Content(image=photo), "text": Content(text=WORDS)}
    before = Scorer.from_folder(own).score([*contents.values()])
    api = start_api(live.current, uses=lambda: live.uses)
    clients = start_clients(api.url, photo)

    def answered_by(kind: str, version: str) -> None:
        """Wait until a version is told of, and as many answers in a row as there are clients."""
        wait_for(lambda: api.get("/v1/models").json()[kind]["version"] == version)
        seen = len(clients.answers)

        def all_by_it() -> bool:
            newest = clients.answers[seen:][-CLIENTS:]
            return [told["models"][kind] for _, _, told in newest] == [version] * CLIENTS

        wait_for(all_by_it)

    answered_by("text", TINY)
    activate(own, "text", "tiny-2")
    answered_by("text", "tiny-2")
    activate(own, "face", "face-2")
    answered_by("face", "face-2")
    info = [one for one in api.get("/metrics").text.splitlines() if "api_model_info{" in one]
    assert info == [
        'sentistream_api_model_info{kind="face",version="face-2"} 1.0',
        'sentistream_api_model_info{kind="text",version="tiny-2"} 1.0',
    ]

    broken = add_version(own / "face", FACE, "face-3")
    (broken / "encoder.onnx").write_bytes(b"no model")
    (own / "face" / "ACTIVE").write_text("face-3\n")
    wait_for(lambda: live.uses["face"].refused == "face-3")
    answered_by("face", "face-2")
    told = api.get("/v1/models").json()
    assert told["face"]["refused"]["version"] == "face-3"
    assert "encoder.onnx" in told["face"]["refused"]["reason"]
    assert told["face"]["since"] <= told["face"]["refused"]["at"]
    assert told["text"]["refused"] is None

    (own / "face" / "ACTIVE").write_text("face-2\n")
    assert rollback(own, "face") == ("face-2", FACE)
    answered_by("face", FACE)
    clients.stop()

    assert {status for _, status, _ in clients.answers} == {200}
    used = {kind: {told["models"][kind] for _, _, told in clients.answers} for kind in contents}
    assert used == {"face": {FACE, "face-2"}, "text": {TINY, "tiny-2"}}
    # All versions score alike, so every answer is that of the one before.
    for (kind, content), scored in zip(contents.items(), before, strict=True):
        assert isinstance(scored, Scored), content
        (observation,) = scored.observations
        parts = [
            told["text"] or told["faces"][0] for asked, _, told in clients.answers if asked == kind
        ]
        valences = {part["valence"] for part in parts}
        assert max(valences) - min(valences) <= 0.002  # a score on the edge of rounding
        assert min(valences) == pytest.approx(observation.valence / 1000, abs=0.002)


def test_a_receipt_of_the_version_before_still_counts(
    start_api: Callable[..., Any], live: LiveScorer, own: Path, photo: bytes
) -> None:
    api = start_api(live.current)
    api.wait_ready()
    face = api.post("/v1/predict?id=r&receipt=true", content=photo).json()["faces"][0]
    activate(own, "face", "face-2")
    wait_for(lambda: api.get("/v1/models").json()["face"]["version"] == "face-2")
    claim = {"id": "r", "face": 0, "predicted": face["emotion"], "label": "fear"}
    answer = api.post("/v1/feedback", json={**claim, "receipt": face["receipt"]})
    assert answer.status_code == 202, answer.text

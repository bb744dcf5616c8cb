"""Every limit of a request: what is over it is refused, says so, and takes nothing from others."""

from __future__ import annotations

import base64
import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from waiting import PATIENCE_S, wait_for

from dataflows.clients import redis_client
from dataflows.keys import Keys
from dataflows.settings import Settings
from models.errors import ContentError
from models.options import DetectorOptions
from models.scorer import Content, Scored, Scorer
from serving.rates import MOST_CLIENTS, Rates

pytestmark = pytest.mark.integration

JSON = {"content-type": "application/json"}
TEXT = {"text": "I love this wonderful day"}


class Held:
    """A scorer that scores when it is let to."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self.open = threading.Event()
        self.seen: list[Content] = []

    def score(self, contents: Sequence[Content]) -> list[Scored | ContentError]:
        self.seen += contents
        assert self.open.wait(PATIENCE_S)
        return self._scorer.score(contents)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scorer, name)


@pytest.fixture
def held(scorer: Scorer) -> Iterator[Held]:
    """What is opened at the latest when the test ends, so that the server can end too."""
    held = Held(scorer)
    yield held
    held.open.set()


@pytest.fixture
def start_held(
    start_api: Callable[..., Any], settings: Settings, held: Held
) -> Iterator[Callable[..., Any]]:
    """A function that starts an API whose models wait, with one content a batch."""
    alone = settings.model_copy(update={"batch": 1})
    yield lambda **given: start_api(lambda: held, alone, **given)
    held.open.set()  # before the server ends


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    """Threads for requests that are not answered at once."""
    with ThreadPoolExecutor(16) as pool:
        yield pool


def busy(answer: Any, reason: str = "busy", status: int = 429) -> None:
    assert (answer.status_code, answer.json()["reason"]) == (status, reason), answer.text
    assert int(answer.headers["retry-after"]) >= 1


def metric(api: Any, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", api.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def ask(api: Any, pool: ThreadPoolExecutor, **options: Any) -> Future[httpx.Response]:
    return pool.submit(httpx.post, f"{api.url}/v1/predict", timeout=PATIENCE_S, **options)


def test_a_full_queue_refuses_and_those_before_are_answered(
    start_held: Callable[..., Any], held: Held, background: ThreadPoolExecutor
) -> None:
    api = start_held(queue=2)
    busy(api.post("/v1/predict/batch", json={"items": [TEXT] * 3}))
    waiting = [ask(api, background, json=TEXT) for _ in range(2)]
    wait_for(lambda: len(held.seen) == 2)  # one for each runner
    waiting += [ask(api, background, json=TEXT) for _ in range(2)]
    wait_for(lambda: metric(api, "sentistream_api_waiting") == 2)
    busy(api.post("/v1/predict", json=TEXT))
    busy(api.post("/v1/predict/batch", json={"items": [TEXT]}))
    assert metric(api, 'sentistream_api_problems_total{reason="busy"}') == 3
    held.open.set()
    assert [one.result().status_code for one in waiting] == [200] * 4
    assert api.post("/v1/predict", json=TEXT).status_code == 200


def test_a_correction_that_is_scored_again_waits_in_the_same_queue(
    start_held: Callable[..., Any], held: Held, background: ThreadPoolExecutor
) -> None:
    api = start_held(queue=1)
    waiting = []
    for runner in (1, 2):  # two at once would be one too many for the queue
        waiting.append(ask(api, background, json=TEXT))
        wait_for(lambda runner=runner: len(held.seen) == runner)
    claim = {"id": "e", "face": None, "predicted": "positive", "label": "neutral"}
    third = ask(api, background, json=TEXT)
    wait_for(lambda: metric(api, "sentistream_api_waiting") == 1)
    busy(api.post("/v1/feedback", json={**claim, **TEXT}))
    held.open.set()
    assert [one.result().status_code for one in (*waiting, third)] == [200] * 3


def test_what_takes_too_long_is_given_up_and_not_scored_any_more(
    start_held: Callable[..., Any], held: Held, background: ThreadPoolExecutor
) -> None:
    api = start_held(timeout_s=3)
    answers = [ask(api, background, json={"text": f"word {number}"}) for number in range(5)]
    for answer in answers:
        busy(answer.result(), "too_slow", 503)
    assert len(held.seen) == 2  # one for each runner; the others still wait
    held.open.set()
    wait_for(lambda: metric(api, "sentistream_api_batch_size_count") == 2)
    assert api.post("/v1/predict", json=TEXT).status_code == 200
    assert len(held.seen) == 3


def test_all_bodies_together_are_bounded(
    start_held: Callable[..., Any], held: Held, background: ThreadPoolExecutor
) -> None:
    api = start_held(max_body_bytes=2000)
    large = {"content": b"love " * 400, "headers": {"content-type": "text/plain"}}
    waiting = [ask(api, background, **large) for _ in range(8)]
    wait_for(lambda: len(held.seen) + metric(api, "sentistream_api_waiting") == 8)
    busy(api.post("/v1/predict", **large))
    held.open.set()
    assert [one.result().status_code for one in waiting] == [200] * 8
    assert api.post("/v1/predict", **large).status_code == 200


def test_of_many_faces_the_best_are_answered(
    start_api: Callable[..., Any], scorer: Scorer, group: bytes
) -> None:
    few = Scorer(scorer.bundle, DetectorOptions(max_faces=2), threads=1, keep_crops=True)
    answer = start_api(lambda: few).post("/v1/predict", content=group)
    assert len(answer.json()["faces"]) == 2


@pytest.mark.parametrize(
    ("document", "status", "why"),
    [
        ({"events": [{"text": "a"}] * 33}, 422, "too_many_items"),
        ({"text": "x" * 10_001}, 413, "text_too_long"),
        ({"text": "@you https://x.example"}, 422, "empty_text"),
        ({"events": [{"text": "a", "id": ""}]}, 422, "bad_body"),
        ({"events": [{"text": "a", "source": "\ud800"}]}, 422, "bad_header"),
    ],
)
def test_events_have_the_same_limits(
    api: Any, document: dict[str, Any], status: int, why: str
) -> None:
    answer = api.post("/v1/events", content=json.dumps(document), headers=JSON)
    assert (answer.status_code, answer.json()["reason"]) == (status, why), answer.text


def test_one_id_is_not_given_to_several_events(api: Any) -> None:
    files = [("text", (None, "a")), ("text", (None, "b"))]
    answer = api.post("/v1/events?id=e", files=files)
    assert (answer.status_code, answer.json()["reason"]) == (422, "bad_parameter")


def test_a_text_that_the_flow_would_reject_is_no_event(
    start_api: Callable[..., Any], scorer: Scorer, settings: Settings, photo: bytes
) -> None:
    bare = Scorer(scorer.bundle, threads=1, keep_crops=True)
    api = start_api(lambda: bare)
    api.wait_ready()
    answer = api.post("/v1/events", json={"events": [{"text": "hello"}]})
    assert (answer.status_code, answer.json()["reason"]) == (422, "no_text_bundle")
    assert answer.json()["index"] == 0
    both = {"text": "hello", "image": base64.b64encode(photo).decode()}
    assert api.post("/v1/events", json=both).status_code == 202  # the picture can be scored


def add_source(settings: Settings, source: str) -> None:
    with redis_client(settings.redis) as client:
        client.zadd(Keys(settings.redis.prefix).sources, {source: 1_790_000_000_000})


def test_so_many_streams_and_no_more_are_open_at_once(
    start_api: Callable[..., Any], settings: Settings
) -> None:
    add_source(settings, "s")
    api = start_api(max_streams=2)
    with httpx.Client(base_url=api.url, timeout=PATIENCE_S) as other:
        with (
            api.client.stream("GET", "/v1/stream/s") as first,
            other.stream("GET", "/v1/stream/s") as second,
        ):
            assert (first.status_code, second.status_code) == (200, 200)
            busy(api.get("/v1/stream/s"))
            assert metric(api, "sentistream_api_streams") == 2
        wait_for(lambda: metric(api, "sentistream_api_streams") == 0)
    with api.client.stream("GET", "/v1/stream/s") as answer:
        assert answer.status_code == 200


def test_streams_that_begin_at_the_same_time_are_counted_too(
    start_api: Callable[..., Any], settings: Settings
) -> None:
    add_source(settings, "s")
    api = start_api(max_streams=2)
    ready = threading.Barrier(8, timeout=PATIENCE_S)

    def status() -> int:
        ready.wait()
        with httpx.stream("GET", f"{api.url}/v1/stream/s", timeout=PATIENCE_S) as answer:
            ready.wait()  # all have been answered
            return answer.status_code

    with ThreadPoolExecutor(8) as pool:
        found = sorted(one.result() for one in [pool.submit(status) for _ in range(8)])
    assert found == [200] * 2 + [429] * 6


def test_requests_are_counted_by_client_and_refill_evenly() -> None:
    now = 0.0
    rates = Rates(2, lambda: now)
    assert [rates.wait_s("a") for _ in range(3)] == [0, 0, 30]
    assert rates.wait_s("b") == 0
    now = 30.0
    assert [rates.wait_s("a") for _ in range(2)] == [0, 30]
    for number in range(MOST_CLIENTS):
        rates.wait_s(f"other {number}")
    assert rates.wait_s("a") == 0  # forgotten, as the one that was quiet for longest
    assert [Rates(0, lambda: now).wait_s("a") for _ in range(3)] == [0, 0, 0]


def test_all_who_have_the_token_share_one_rate(start_api: Callable[..., Any]) -> None:
    api = start_api(requests_per_minute=2, token="a token")  # noqa: S106
    right = {"authorization": "Bearer a token"}
    assert api.get("/v1/models").status_code == 401  # and does not count
    answers = [api.get("/v1/models", headers=right) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    busy(answers[2], "too_many_requests")
    assert api.get("/healthz").status_code == 200


def test_who_is_refused_is_counted(start_api: Callable[..., Any]) -> None:
    api = start_api(requests_per_minute=3)
    assert api.get("/v1/models", headers={"host": "evil.example"}).status_code == 403
    assert metric(api, 'sentistream_api_problems_total{reason="forbidden"}') == 1


WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
written: list[str] = []
watching = threading.Event()


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and watching.is_set() and arguments[2] & WRITES:
        written.append(str(arguments[0]))


def test_no_upload_opens_a_file_for_writing(
    api: Any, photo: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    large = photo + b"\0" * 3_000_000  # more than what frameworks keep in memory
    form = {"file": ("x.jpg", large, "image/jpeg")}
    sys.addaudithook(watch)  # of the whole process, in which the server is a thread
    watching.set()
    try:
        (tmp_path_factory.getbasetemp() / "seen").write_bytes(b"")
        answers = [
            api.post("/v1/predict", content=large),
            api.post("/v1/predict?receipt=true&explain=true", files=form),
            api.post("/v1/predict/batch", files=[("file", form["file"])] * 2),
            api.post("/v1/events", files=form),
        ]
    finally:
        watching.clear()
    assert [answer.status_code for answer in answers] == [200, 200, 200, 202]
    assert [Path(path).name for path in written] == ["seen"]

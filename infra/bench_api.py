"""How quick the REST API is: `python -m infra.bench_api`, or `make bench-api`.

Prints one JSON line per measurement with its goal, and whether it is met; nothing fails when it is
not. All figures are ratios of one run, and the median of alternating rounds counts. The picture has
one face; the API is `python -m serving`, a process of its own. The clients are threads of this
process with kept connections and a body that is made once, but they, the embedded broker and the
embedded Redis (both idle) share the cores with the API: what they take counts against it.

- **predict**: pictures/s of `/v1/predict` with clients that ask again as soon as they are answered,
  over those of the bare scorer in this process, in full batches with all cores. `cpu_ratio` is
  the processor time of a picture in the scorer over that in API and clients together: it hardly
  depends on what else the machine does.
- **half load**: the 99th percentile of the time to an answer, at half of the pictures/s measured
  before, over the time of scoring one picture alone. Requests come by a Poisson process, and
  their time counts from when they were to be sent.
- **swap**: requests that fail while the face model is changed for a copy of it and back, with all
  clients asking; and the longest time in which none of them was answered.
- **swap in the flow**: the same change under the flow's scoring step; the longest time between two
  batches, and the usual one.
- **shadow**: events/s of the flow's scoring step with a second face model on a share of the events,
  over those without. The step is never idle here: the shadow, whose thread has low priority, skips
  what it cannot follow.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import count, pairwise
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

from dataflows.contract import Envelope, Record
from dataflows.rejections import RejectionLimits
from dataflows.scoring import Score
from dataflows.settings import Settings, load_settings
from dataflows.shadow import Shadow, open_shadow
from dataflows.source import Arrival
from infra.api_load import Answer, Target, closed_loop, open_loop, poisson
from infra.bench_text import tell
from infra.interrupts import interruptible
from infra.own_api import COPY, OwnApi, own_api, own_bundles
from infra.ports import LOOPBACK
from models.activation import activate
from models.live import LiveScorer
from models.options import ShadowOptions
from models.scorer import Content, Scorer
from models.wheels import fetch

__all__ = ["main"]

PREDICT_GOAL, P99_GOAL, GAP_GOAL_S = 0.80, 3.0, 1.0
SHARE_OF_SHADOW, LOAD_FACTOR = 0.1, 0.5


def main(arguments: list[str]) -> int:
    """Measure, print, and return 0."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.bench_api",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--clients", type=int, default=8, help="that ask at once")
    parser.add_argument("--rounds", type=int, default=5, help="of each comparison")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--step", type=float, default=10.0, help="seconds from change to change")
    options = parser.parse_args(arguments)
    settings = load_settings()
    picture = fetch("single_face").read_bytes()
    with ExitStack() as resources, interruptible():
        bundles = Path(resources.enter_context(tempfile.TemporaryDirectory()))
        version = own_bundles(settings.bundles, bundles)
        settings = settings.model_copy(update={"bundles": bundles})
        scorer = Scorer.from_folder(
            bundles, settings.detector, settings.limits, settings.threads, text=settings.text
        )
        with own_api(settings) as api:
            bench = _Bench(scorer, settings.batch, api, picture, options.clients, options.seconds)
            capacity = bench.predict(options.rounds)
            bench.half_load(capacity, options.rounds)
            bench.swap(bundles, version, options.step)
        _flow_swap(settings, scorer, picture, version, options.step)
        _shadow(settings, scorer, picture, options.rounds, options.seconds)
    return 0


class _Run(NamedTuple):
    """So many pictures, or events, in so many seconds, and of processor time."""

    done: int
    wall_s: float
    cpu_s: float = 0.0

    @property
    def per_s(self) -> float:
        """How many a second."""
        return self.done / self.wall_s

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of processor time of each."""
        return 1000 * self.cpu_s / self.done


class _Bench:
    """Measures a running API beside a scorer of the same bundles."""

    def __init__(
        self,
        scorer: Scorer,
        batch: int,
        api: OwnApi,
        picture: bytes,
        clients: int,
        seconds: float,
    ) -> None:
        self._scorer = scorer
        self._batch = [Content(image=picture)] * batch
        self._api = api
        self._target = Target(LOOPBACK, api.port, "/v1/predict", picture, "image/jpeg")
        self._clients = clients
        self._seconds = seconds
        # A run of each, so that what is read, made or remembered once is.
        self._bare(self._batch)
        self._asked()

    def predict(self, rounds: int) -> float:
        """Measure full load; return the requests/s."""
        runs = [(self._bare(self._batch), self._asked()) for _ in range(rounds)]
        ratio = median(api.per_s / bare.per_s for bare, api in runs)
        capacity = median(api.per_s for _, api in runs)
        tell(
            "predict / bare scorer",
            f">= {PREDICT_GOAL:g}",
            ratio >= PREDICT_GOAL,
            ratio=round(ratio, 3),
            api_per_s=round(capacity, 1),
            scorer_per_s=round(median(bare.per_s for bare, _ in runs), 1),
            cpu_ratio=round(median(bare.cpu_ms / api.cpu_ms for bare, api in runs), 3),
            api_cpu_ms=round(median(api.cpu_ms for _, api in runs), 1),
            clients=self._clients,
        )
        return capacity

    def half_load(self, capacity: float, rounds: int) -> None:
        """Measure the time to an answer at half of a number of requests/s."""
        rows, requests, per_s = [], 0, LOAD_FACTOR * capacity
        seconds = max(3 * self._seconds, 2 / per_s)  # percentiles need two requests
        for seed in range(rounds):
            alone_ms = 1000 / self._bare(self._batch[:1]).per_s
            answers = open_loop(self._target, poisson(per_s, seconds, seed))
            _see_that_all_are_answered(answers)
            requests += len(answers)
            percentiles = quantiles([1000 * (one.done - one.asked) for one in answers], n=100)
            p50_ms, p99_ms = percentiles[49], percentiles[98]
            rows.append((p99_ms / alone_ms, p50_ms / alone_ms, p99_ms, alone_ms))
        ratio, p50_ratio, p99_ms, alone_ms = (median(column) for column in zip(*rows, strict=True))
        tell(
            "p99 at half load / one picture alone",
            f"<= {P99_GOAL:g}",
            ratio <= P99_GOAL,
            ratio=round(ratio, 2),
            p50_ratio=round(p50_ratio, 2),
            p99_ms=round(p99_ms, 1),
            alone_ms=round(alone_ms, 1),
            requests=requests,
        )

    def swap(self, bundles: Path, version: str, step_s: float) -> None:
        """Change the model, and back, while all clients ask."""
        _change_later(bundles, version, step_s)
        answers = closed_loop(self._target, self._clients, 3 * step_s)
        gap_s = max(later.done - sooner.done for sooner, later in pairwise(answers))
        failed = sum(answer.status != 200 for answer in answers)
        named = [answer.version for answer in answers if answer.version is not None]
        changed = sum(before != after for before, after in pairwise(named))
        tell("swap: failed requests", "0", failed == 0, failed=failed, requests=len(answers))
        tell(
            "swap: longest gap in answers",
            f"<= {GAP_GOAL_S:g} s",
            gap_s <= GAP_GOAL_S and changed >= 2,
            gap_s=round(gap_s, 3),
            changes_seen=changed >= 2,
        )

    def _bare(self, batch: Sequence[Content]) -> _Run:
        """Run the scorer by itself."""
        cpu_s = time.process_time()
        run = _run(lambda: len(self._scorer.score(batch)), self._seconds)
        return run._replace(cpu_s=time.process_time() - cpu_s)

    def _asked(self) -> _Run:
        """Run all clients."""
        begun, cpu_s = time.perf_counter(), self._cpu_s()
        answers = closed_loop(self._target, self._clients, self._seconds)
        _see_that_all_are_answered(answers)
        return _Run(len(answers), answers[-1].done - begun, self._cpu_s() - cpu_s)

    def _cpu_s(self) -> float:  # of API and clients
        return time.process_time() + self._api.cpu_s()


def _change_later(bundles: Path, version: str, step_s: float) -> None:
    """Have the copy activated after so many seconds, and the version after as many more."""
    for number, name in enumerate((COPY, version)):
        threading.Timer(step_s * (1 + number), activate, (bundles, "face", name)).start()


def _flow_swap(
    settings: Settings, scorer: Scorer, picture: bytes, version: str, step_s: float
) -> None:
    """Change the model, and back, under the scoring step of the flow."""
    live = LiveScorer(scorer, settings.bundles)
    step = _step(settings, live.current, picture)
    live.start()
    _change_later(settings.bundles, version, step_s)
    done, used = [time.perf_counter()], set()
    while done[-1] < done[0] + 3 * step_s:
        used.add(live.current().versions["face"])
        step()
        done.append(time.perf_counter())
    live.stop()
    gaps = [later - sooner for sooner, later in pairwise(done)]
    tell(
        "swap in the flow: longest gap in scoring",
        f"<= {GAP_GOAL_S:g} s",
        max(gaps) <= GAP_GOAL_S and len(used) > 1,
        gap_s=round(max(gaps), 3),
        usual_s=round(median(gaps), 3),
        changes_seen=len(used) > 1,
    )


def _shadow(
    settings: Settings, scorer: Scorer, picture: bytes, rounds: int, seconds: float
) -> None:
    """Measure the scoring step of the flow with a second model, and without."""
    shadow = open_shadow(scorer, settings.bundles, ShadowOptions(face=COPY, share=SHARE_OF_SHADOW))
    assert shadow is not None  # noqa: S101 - there is a version to open
    alone = _step(settings, lambda: scorer, picture)
    beside = _step(settings, lambda: scorer, picture, shadow)
    rates = []
    for _ in range(rounds):
        without = _run(alone, seconds).per_s
        rates.append((without, _run(beside, seconds).per_s))
        shadow.join()  # the next round is to be without it
    (told,) = json.loads(shadow.fields()["shadow"])
    tell(
        "scoring with a shadow / without",
        ratio=round(median(both / without for without, both in rates), 3),
        share=SHARE_OF_SHADOW,
        compared=told["events"],
        skipped=told["skipped"],
        agreed=told["agreed"] == told["observations"],
    )


def _step(
    settings: Settings,
    current: Callable[[], Scorer],
    picture: bytes,
    shadow: Shadow | None = None,
) -> Callable[[], int]:
    """Return what scores one batch as the flow does, and tells how many events it had."""
    score = Score(current, settings.batch, RejectionLimits(settings.rejections), shadow)
    numbers = count()

    def event(number: int) -> Arrival:
        record = Record("bench", 0, number, None, picture, (), 0)
        return Envelope(record, f"bench/{number}", "bench", 0, "image/jpeg")

    def run() -> int:
        return len(list(score([event(next(numbers)) for _ in range(settings.batch)])))

    return run


def _run(step: Callable[[], int], seconds: float) -> _Run:
    """Do a step again and again, for at least so many seconds."""
    done, begun = 0, time.perf_counter()
    while (spent_s := time.perf_counter() - begun) < seconds:
        done += step()
    return _Run(done, spent_s)


def _see_that_all_are_answered(answers: Sequence[Answer]) -> None:
    if {answer.status for answer in answers} != {200}:
        raise SystemExit(f"error: requests failed: {Counter(answer.status for answer in answers)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

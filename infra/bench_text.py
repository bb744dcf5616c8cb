"""Throughput of the text path: `python -m infra.bench_text`, or `make bench-text`.

Prints one JSON line per measurement with its goal, and whether it is met; nothing fails when it is
not. All speeds are of one core (one thread of inference, nothing beside it), taken in one run in
rounds that alternate, and the median of the rounds counts: figures of one machine say little on
another, ratios carry over. Texts come in batches of `SENTISTREAM_BATCH`, as they do in the flow.

- **path**: texts/s from the bytes of an event to its result (parse, clean, guess the language, cut
  into word pieces, encode, head), over those of the bare encoder on the same word pieces in the
  same batches. For each text bundle in the folder of bundles.
- **light**: texts/s of the path with the bundle without a Transformer over those with one.
- **padding**: share of what the encoder is given that is filling, with texts sorted by length
  within a batch, and in the order in which they come.
- **steps**: microseconds of each step of a text by itself, on average.

Without `--texts` they are the sentences that come with the project, one to four together and each
with a word that no other has, so that nothing is remembered that would not be in real texts.
"""

from __future__ import annotations

import argparse
import json
import random
import string
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from dataflows.content import TEXT_TYPE, read_content
from dataflows.settings import Settings, load_settings
from infra.demo import SAMPLE_TEXTS
from models.bundle import TextBundle, load_text_bundle
from models.cleaning import clean_text
from models.errors import BundleError, SentiStreamError
from models.language import guess_language
from models.text_encoder import TextEncoder, length_batches
from models.texts import TextScorer
from models.tokens import Tokenizer

__all__ = ["main"]

PATH_GOAL, LIGHT_GOAL = 0.60, 20.0
MOST_TOGETHER = 4  # sample sentences in one text
SHARE_OF_LIGHT = 20  # as many times more texts, so that both are measured for about as long


def main(arguments: list[str]) -> int:
    """Measure, print, and return 0; 2 where there is nothing to measure."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.bench_text",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--texts", type=Path, help="one a line; of a TSV the last column")
    parser.add_argument("--count", type=int, default=512, help="texts for a Transformer")
    parser.add_argument("--rounds", type=int, default=5, help="of each comparison of speeds")
    options = parser.parse_args(arguments)
    settings = load_settings()
    try:
        benches = [_Bench.open(bundle, settings.batch) for bundle in _bundles(settings)]
    except SentiStreamError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    values = _values(options.texts, options.count * SHARE_OF_LIGHT)
    # A run of each, so that what is read, compiled or remembered once is.
    for bench in benches:
        bench.path(values[: options.count])
    spent: dict[str, tuple[list[float], list[float]]] = {b.version: ([], []) for b in benches}
    for _ in range(options.rounds):
        for bench in benches:
            given = values if bench.light else values[: options.count]
            path, bare = spent[bench.version]
            path.append(len(given) / bench.path(given))
            bare.append(len(given) / bench.bare(given))
    rates = {version: median(path) for version, (path, _) in spent.items()}
    for bench in benches:
        _tell_path(bench, rates[bench.version], median(spent[bench.version][1]))
    _tell_light(benches, rates)
    for bench in benches:
        given = values[: options.count]
        tell("steps", version=bench.version, microseconds=bench.steps(given))
        by_length, as_it_comes = bench.padding(given)
        tell("padding", version=bench.version, sorted=by_length, as_it_comes=as_it_comes)
    return 0


def tell(what: str, goal: str | None = None, met: bool | None = None, **figures: object) -> None:
    """Print one line; a figure without a goal is for information."""
    judged = {} if goal is None else {"goal": goal, "met": met}
    print(json.dumps({"what": what, **figures, **judged}), flush=True)


def _tell_path(bench: _Bench, path: float, bare: float) -> None:
    ratio = path / bare
    goal = None if bench.light else f">= {PATH_GOAL}"
    tell(
        "path / bare encoder",
        goal=goal,
        met=ratio >= PATH_GOAL,
        version=bench.version,
        ratio=round(ratio, 3),
        path_texts_per_s=round(path),
        encoder_texts_per_s=round(bare),
    )


def _tell_light(benches: Sequence[_Bench], rates: dict[str, float]) -> None:
    for light in (bench for bench in benches if bench.light):
        for full in (bench for bench in benches if not bench.light):
            ratio = rates[light.version] / rates[full.version]
            tell(
                "light / Transformer",
                goal=f">= {LIGHT_GOAL:g}",
                met=ratio >= LIGHT_GOAL,
                light=light.version,
                transformer=full.version,
                ratio=round(ratio, 1),
            )


@dataclass(frozen=True)
class _Bench:
    """One bundle, on one core."""

    version: str
    scorer: TextScorer
    encoder: TextEncoder
    tokenizer: Tokenizer
    batch: int

    @classmethod
    def open(cls, bundle: TextBundle, batch: int) -> _Bench:
        manifest = bundle.manifest
        return cls(
            manifest.version,
            TextScorer(bundle, threads=1),
            TextEncoder(bundle.encoder, manifest.feature_count),
            Tokenizer(bundle.tokenizer, manifest.preprocessing.max_tokens),
            batch,
        )

    @property
    def light(self) -> bool:
        """Whether there is no Transformer."""
        return not self.encoder.masked

    def path(self, values: Sequence[bytes]) -> float:
        """Return the seconds from bytes to results."""
        begun = time.perf_counter()
        for batch in self._batches(values):
            self.scorer.score([read_content(value, TEXT_TYPE).text or "" for value in batch])
        return time.perf_counter() - begun

    def bare(self, values: Sequence[bytes]) -> float:
        """Return the seconds of the encoder alone."""
        batches = [self._ids(batch) for batch in self._batches(values)]
        begun = time.perf_counter()
        for ids in batches:
            self.encoder.encode(ids)
        return time.perf_counter() - begun

    def steps(self, values: Sequence[bytes]) -> dict[str, float]:
        """Return the microseconds per text of each step."""
        cleaning = self.scorer.bundle.manifest.preprocessing.cleaning
        texts = [value.decode() for value in values]
        cleaned = [clean_text(text, cleaning) for text in texts]
        written = [one.text for one in cleaned]
        batches = [self._ids(batch) for batch in self._batches(values)]

        def timed(step: Callable[[], object]) -> float:
            begun = time.perf_counter()
            step()
            return round((time.perf_counter() - begun) / len(values) * 1e6, 1)

        return {
            "parse": timed(lambda: [read_content(value, TEXT_TYPE) for value in values]),
            "clean": timed(lambda: [clean_text(text, cleaning) for text in texts]),
            "guess": timed(lambda: [guess_language(one.unnamed) for one in cleaned]),
            "cut": timed(lambda: self.tokenizer.encode(written)),
            "encode": timed(lambda: [self.encoder.encode(ids) for ids in batches]),
            "encode_and_head": timed(lambda: [self.scorer.probabilities(ids) for ids in batches]),
        }

    def padding(self, values: Sequence[bytes]) -> tuple[float, float]:
        """Return the share of filling, sorted by length and as it comes."""
        given = sorted_cells = unsorted_cells = 0
        for batch in self._batches(values):
            lengths = [len(ids) for ids in self._ids(batch)]
            given += sum(lengths)
            unsorted_cells += max(lengths) * len(lengths)
            sorted_cells += sum(
                max(lengths[row] for row in rows) * len(rows) for rows in length_batches(lengths)
            )
        return round(1 - given / sorted_cells, 3), round(1 - given / unsorted_cells, 3)

    def _ids(self, values: Sequence[bytes]) -> list[list[int]]:
        cleaning = self.scorer.bundle.manifest.preprocessing.cleaning
        texts = [clean_text(value.decode(), cleaning).text for value in values]
        return [tokens.ids for tokens in self.tokenizer.encode(texts)]

    def _batches(self, values: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
        return (values[at : at + self.batch] for at in range(0, len(values), self.batch))


def _bundles(settings: Settings) -> list[TextBundle]:
    """Return all text bundles.

    Raises:
        BundleError: there is none, or one does not fit.
    """
    folder = settings.bundles / "text"
    found = sorted(path.parent for path in folder.glob("*/manifest.json"))
    if not found:
        raise BundleError(f"{folder} has no text bundle; make one, or set SENTISTREAM_BUNDLES")
    return [load_text_bundle(path) for path in found]


def _values(path: Path | None, count: int) -> list[bytes]:
    """Return so many texts as bytes, the same ones in each run."""
    chance = random.Random(0)  # noqa: S311 - not for secrets
    lines = (path or SAMPLE_TEXTS).read_text(encoding="utf-8").splitlines()
    given = [text for line in lines if (text := line.rpartition("\t")[2].strip())]
    if path is not None:
        return [text.encode() for text in (given * -(-count // len(given)))[:count]]

    def one() -> str:
        own = "".join(chance.choices(string.ascii_lowercase, k=6))
        return " ".join([*chance.choices(given, k=chance.randint(1, MOST_TOGETHER)), own])

    return [one().encode() for _ in range(count)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

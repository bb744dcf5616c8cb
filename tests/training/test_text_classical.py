"""Models without a Transformer are compared fairly, and an interrupted comparison goes on."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("lightgbm", reason='needs lightgbm: pip install "sentistream[train]"')
pytest.importorskip(
    "vaderSentiment", reason='needs vaderSentiment: pip install "sentistream[train]"'
)

from models.observation import SENTIMENTS
from models.options import TextCleaning
from training.errors import DataError
from training.heads.leaderboard import Leaderboard
from training.progress import Progress
from training.text import classical
from training.text.classical import compare
from training.text.classical_models import Candidate, Lexicon, candidates, vectorise
from training.text.config import Classical, Data
from training.text.tweets import Texts, read_split

SETTINGS = Classical(max_features=200, tree_features=80, rounds=3, trees=3)
WRITTEN = Data(name="written", format="written")


def texts(split: str) -> Texts:
    return read_split(WRITTEN, TextCleaning(), Path(), split)


def some() -> list[Candidate]:
    """Return the lexicon and both settings of the SVM on words."""
    found = candidates(SETTINGS, 1)
    return [
        c for c in found if c.name == "vader" or (c.name == "linear_svm" and len(c.vectors) < 2)
    ]


def run(folder: Path, among: list[Candidate] | None = None) -> Leaderboard:
    return compare(
        SETTINGS, 1, texts("train"), texts("val"), folder, Progress(), among=among or some()
    )


def test_every_model_is_ranked_and_judged_on_validation(tmp_path: Path) -> None:
    board = run(tmp_path, candidates(SETTINGS, 1))
    assert {row.head for row in board.rows} == {
        *("vader", "logistic_regression", "linear_svm", "xgboost", "lightgbm", "random_forest")
    }
    scores = [row.balanced_accuracy.mean for row in board.rows]
    assert scores == sorted(scores, reverse=True)
    assert all(row.unseen for row in board.rows)
    assert "VADER" in board.verdict


def test_the_vectoriser_sees_the_training_part_of_a_fold_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, ...]] = []

    class Watched:
        def __init__(self, vectors: dict[str, int]) -> None:
            self._inner = vectorise(vectors)

        def fit_transform(self, given: tuple[str, ...]) -> object:
            seen.append(given)
            return self._inner.fit_transform(given)

        def transform(self, given: tuple[str, ...]) -> object:
            assert not set(given) & set(seen[-1])
            return self._inner.transform(given)

    monkeypatch.setattr(classical, "vectorise", Watched)
    run(tmp_path)
    assert len({len(given) for given in seen}) == 2  # two thirds in the folds, and all at the end


def test_what_was_done_before_an_interruption_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits: list[str] = []
    fit = Candidate.fit

    def counted(self: Candidate, *given: object) -> object:
        if len(fits) == 4:
            raise KeyboardInterrupt
        fits.append(self.name)
        return fit(self, *given)

    monkeypatch.setattr(Candidate, "fit", counted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    monkeypatch.setattr(Candidate, "fit", lambda self, *given: fits.append("") or fit(self, *given))
    resumed = run(tmp_path)
    assert len(fits) == 3 * len(some()) + 2  # every fold, and the best of each model once more
    assert run(tmp_path).rows == resumed.rows
    assert len(fits) == 3 * len(some()) + 2


@pytest.mark.parametrize("content", ["{", "[]", '{"of": "other", "fits": {}}', '{"fits": 1}'])
def test_fits_of_other_data_or_a_damaged_file_are_done_again(tmp_path: Path, content: str) -> None:
    (tmp_path / "classical_fits.json").write_text(content)
    assert len(run(tmp_path).rows) == 2
    assert len(json.loads((tmp_path / "classical_fits.json").read_text())["fits"]) > 2


def test_a_part_of_the_texts_serves_the_folds(tmp_path: Path) -> None:
    board = compare(
        SETTINGS.model_copy(update={"rows": 60}),
        *(1, texts("train"), texts("val"), tmp_path, Progress()),
        among=some(),
    )
    assert board.rows_used == 60


def test_a_class_with_fewer_texts_than_folds_is_named(tmp_path: Path) -> None:
    few = texts("train")
    few = few.take([*np.flatnonzero(few.labels != 1), *np.flatnonzero(few.labels == 1)[:2]])
    with pytest.raises(DataError, match="3 folds need 3 rows of each class: neutral has 2"):
        compare(SETTINGS, 1, few, texts("val"), tmp_path, Progress(), among=some())


def test_the_lexicon_reads_signs_and_emoji() -> None:
    found = Lexicon().predict(["I hate this", "the train leaves at noon", "I love it 😍"])
    assert [SENTIMENTS[place] for place in found] == list(SENTIMENTS)

"""The leaderboard of heads, and what a search refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("imblearn", reason='needs imblearn: pip install "sentistream[train]"')

from training.config import Head, load
from training.errors import ConfigError, DataError
from training.heads import Leaderboard, Row, Score, search
from training.heads.candidates import RESAMPLINGS
from training.heads.leaderboard import verdict
from training.heads.resampling import AdaptiveAdasyn, class_weights
from training.progress import Progress

SETTINGS = Head(folds=3, components=4, search_rounds=3, patience=2, trees=3, adasyn_neighbours=3)
HEADS = ("xgboost", "lightgbm", "random_forest", "logistic_regression")


def rows(
    counts: tuple[int, ...], apart: float = 1.5
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int64)
    features = np.random.default_rng(7).normal(0, 1, (len(labels), 8)).astype(np.float32)
    features[np.arange(len(labels)), labels] += apart
    return features, labels


def row(head: str, mean: float, sd: float = 0.01, resampling: str = "none", f1: float = 0.5) -> Row:
    score = Score(mean=mean, sd=sd)
    return Row(
        head=head,
        resampling=resampling,
        params={},
        balanced_accuracy=score,
        macro_f1=Score(mean=f1, sd=0.0),
        accuracy=score,
        fit_s=1.0,
        predict_us=1.0,
    )


@pytest.fixture(scope="module")
def board() -> Leaderboard:
    return search(*rows((18, 9, 12, 40, 24, 12, 30)), SETTINGS, 1, Progress(), threads=1)


def test_every_head_meets_every_resampling_and_the_best_comes_first(board: Leaderboard) -> None:
    assert sorted((r.head, r.resampling) for r in board.rows) == sorted(
        (head, resampling) for head in HEADS for resampling in RESAMPLINGS
    )
    ranks = [r.rank for r in board.rows]
    assert ranks == sorted(ranks, reverse=True)
    assert board.best("lightgbm") == next(r for r in board.rows if r.head == "lightgbm")
    assert board.verdict == verdict(board.rows)
    assert (board.rows_used, board.features, board.components, board.folds) == (145, 8, 4, 3)
    assert board.tried == 24
    assert all(r.fit_s > 0 and r.predict_us > 0 for r in board.rows)


def test_the_json_holds_what_the_leaderboard_does(board: Leaderboard) -> None:
    found = json.loads(board.to_json())
    assert Leaderboard.model_validate(found) == board
    assert found["rows"][0]["balanced_accuracy"].keys() == {"mean", "sd"}


def test_the_parameters_of_a_row_say_what_its_resampling_took(board: Leaderboard) -> None:
    for found in board.rows:
        assert ("weight_power" in found.params) == (found.resampling == "weights")
        assert ("neighbours" in found.params) == (found.resampling == "adasyn")
    assert board.best().params.keys() >= {"max_depth", "learning_rate", "reg_lambda"}


def test_the_same_seed_gives_the_same_leaderboard(board: Leaderboard) -> None:
    again = search(*rows((18, 9, 12, 40, 24, 12, 30)), SETTINGS, 1, Progress(), threads=1)

    def untimed(one: Leaderboard) -> list[Row]:
        return [r.model_copy(update={"fit_s": 0, "predict_us": 0}) for r in one.rows]

    assert untimed(again) == untimed(board)


def test_a_head_that_is_better_by_more_than_a_standard_deviation_is_named() -> None:
    said = verdict((row("lightgbm", 0.75), row("xgboost", 0.73), row("random_forest", 0.6)))
    assert "lightgbm (none, 0.7500 ± 0.0100) is better than xgboost" in said
    assert "by 0.0200" in said
    assert "XGBoost ships all the same" in said


def test_a_lead_within_a_standard_deviation_is_no_better_head() -> None:
    said = verdict((row("lightgbm", 0.75, sd=0.001), row("xgboost", 0.74, sd=0.02)))
    assert "better" not in said
    assert "lightgbm (none, 0.7500 ± 0.0010) is ahead by 0.0100" in said


def test_the_verdict_takes_the_best_row_of_each_head() -> None:
    ours = (row("xgboost", 0.76, resampling="weights"), row("xgboost", 0.5))
    said = verdict((ours[0], row("lightgbm", 0.75), ours[1]))
    assert said.startswith("xgboost (weights, 0.7600 ± 0.0100) ships, and no other head is ahead")
    assert "took part alone" in verdict((ours[0],))


def test_features_that_are_not_finite_are_counted_and_the_first_ones_named() -> None:
    features, labels = rows((9,) * 7)
    features[[4, 40], 2] = np.nan, np.inf
    with pytest.raises(DataError, match=r"2 of 63 rows have NaN or infinite.* 4, 40"):
        search(features, labels, SETTINGS, 1, Progress())


def test_a_class_with_fewer_rows_than_folds_is_named_with_what_to_do() -> None:
    with pytest.raises(DataError, match=r"5 folds .*fear has 4\. Give fewer folds.*more data"):
        search(*rows((9, 4, 9, 9, 9, 9, 9)), Head(folds=5), 1, Progress())


def test_an_absent_class_is_named() -> None:
    with pytest.raises(DataError, match="nothing of the class disgust"):
        search(*rows((9, 9, 0, 9, 9, 9, 9)), SETTINGS, 1, Progress())


def test_features_and_labels_of_different_length_are_refused() -> None:
    features, labels = rows((9,) * 7)
    with pytest.raises(DataError, match=r"\(63, 8\) do not go with 62 labels"):
        search(features, labels[:-1], SETTINGS, 1, Progress())


def test_as_many_rows_of_a_class_as_folds_are_enough() -> None:
    found = search(*rows((9, 3, 9, 20, 9, 9, 9)), SETTINGS, 1, Progress(), threads=1)
    assert "ADASYN: class fear has one row" in " ".join(found.warnings)
    assert "ADASYN: class fear has 2 rows: 1 neighbours, not 3" in found.warnings


def test_two_folds_are_no_setting(tmp_path: Path) -> None:
    path = tmp_path / "two.toml"
    path.write_text("[head]\nfolds = 2\n")
    with pytest.raises(ConfigError, match=r"head\.folds"):
        load(path)


def test_adasyn_fills_small_classes_up_to_the_share() -> None:
    features, labels = rows((20, 10, 60, 60), apart=0.8)
    sampler = AdaptiveAdasyn(share=0.5)
    made, made_labels = sampler.fit_resample(features, labels)
    assert np.array_equal(made[: len(features)], features)
    assert np.array_equal(made_labels[: len(labels)], labels)
    assert made.dtype == np.float32
    counts = np.bincount(made_labels)
    assert counts[2:].tolist() == [60, 60]
    assert counts[:2] == pytest.approx([30, 30], abs=5)  # ADASYN rounds for each row
    assert sampler.notes_ == []


def test_adasyn_takes_fewer_neighbours_for_a_small_class_and_says_so() -> None:
    features, labels = rows((3, 30, 30), apart=0.5)
    sampler = AdaptiveAdasyn()
    _, made_labels = sampler.fit_resample(features, labels)
    assert np.bincount(made_labels)[0] > 20
    assert sampler.notes_ == ["ADASYN: class surprise has 3 rows: 2 neighbours, not 5"]


def test_adasyn_leaves_a_class_of_one_row_as_it_is_and_goes_on() -> None:
    features, labels = rows((1, 10, 30), apart=0.5)
    sampler = AdaptiveAdasyn()
    _, made_labels = sampler.fit_resample(features, labels)
    assert np.bincount(made_labels)[0] == 1
    assert np.bincount(made_labels)[1] > 20
    assert "class surprise has one row" in sampler.notes_[0]


def test_adasyn_leaves_a_class_far_from_all_others_as_it_is_and_goes_on() -> None:
    features, labels = rows((12, 10, 30), apart=0.5)
    features[labels == 0] += 1000
    sampler = AdaptiveAdasyn()
    _, made_labels = sampler.fit_resample(features, labels)
    assert np.bincount(made_labels)[0] == 12
    assert np.bincount(made_labels)[1] > 20
    assert "class surprise touches no other class" in sampler.notes_[0]


def test_adasyn_that_has_one_row_to_make_and_rounds_to_none_leaves_the_class() -> None:
    features, labels = rows((29, 30), apart=0.1)
    sampler = AdaptiveAdasyn()
    _, made_labels = sampler.fit_resample(features, labels)
    assert np.bincount(made_labels).tolist() == [29, 30]
    assert "rounds to nothing" in sampler.notes_[0]


def test_class_weights_go_from_none_to_equal_totals() -> None:
    labels = np.array([0, 0, 0, 1], dtype=np.int64)
    assert class_weights(labels, 0.0).tolist() == [1, 1, 1, 1]
    even = class_weights(labels, 1.0)
    assert even[:3].sum() == pytest.approx(even[3])
    assert class_weights(labels, 0.5).mean() == pytest.approx(1)


def test_unseen_faces_choose_among_the_shipped_heads_and_take_no_part_in_the_folds() -> None:
    learnt, unseen = rows((18, 9, 12, 40, 24, 12, 30)), rows((4, 4, 4, 4, 4, 4, 4))
    found = search(*learnt, SETTINGS, 1, Progress(), unseen=unseen, threads=1)
    alone = search(*learnt, SETTINGS, 1, Progress(), threads=1)
    for one, other in zip(found.rows, alone.rows, strict=True):
        assert one.balanced_accuracy == other.balanced_accuracy
        assert one.unseen is not None
        assert other.unseen is None
    shipped = [r for r in found.rows if r.head == "xgboost"]
    scores = [r.unseen.score for r in shipped if r.unseen]
    assert found.best().unseen is not None
    assert found.best().unseen.score == max(scores)
    assert "which the encoder has not seen" in found.verdict
    assert "has not seen" not in alone.verdict


def test_no_more_components_are_asked_for_than_a_fold_has_rows() -> None:
    wide = Head(folds=3, components=500, search_rounds=3, patience=2, trees=3, adasyn_neighbours=3)
    features, labels = rows((9, 9, 9, 9, 9, 9, 9))
    many = np.random.default_rng(1).normal(0, 1, (63, 600)).astype(np.float32)
    many[:, :8] = features
    found = search(many, labels, wide, 1, Progress(), threads=1)
    assert found.components is not None
    assert found.components < 42

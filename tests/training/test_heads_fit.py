"""The head that ships: what is in its files is what its metrics were taken with."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("imblearn", reason='needs imblearn: pip install "sentistream[train]"')

import xgboost

from models.bundle import CALIBRATION, HEAD, Calibration
from models.head import calibrate
from models.observation import EXPRESSIONS
from training.config import Head
from training.errors import DataError, RunError
from training.heads import Row, Score, fit_head, fit_temperature
from training.metrics import expected_calibration_error, report
from training.progress import Progress

SETTINGS = Head(search=False, max_rounds=200, patience=3, feature_share=1.0, adasyn_share=1.0)
Split = tuple[NDArray[np.float32], NDArray[np.int64]]


def split(seed: int, count: int = 210) -> Split:
    rng = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % 7
    labels[labels == 1] = rng.choice([1, 3], (labels == 1).sum())
    features = rng.normal(0, 1, (count, 9)).astype(np.float32)
    features[np.arange(count), labels] += 2.5
    return features, labels


TRAIN, VALIDATION = split(1), split(2)
ROW = Row(
    head="xgboost",
    resampling="weights",
    params={"max_depth": 1, "learning_rate": 0.5, "weight_power": 1.0},
    **dict.fromkeys(("balanced_accuracy", "macro_f1", "accuracy"), Score(mean=0.5, sd=0.0)),
    fit_s=1.0,
    predict_us=1.0,
)


def fit(folder: Path, settings: Head = SETTINGS, row: Row | None = None) -> dict[str, Any]:
    return fit_head(settings, 1, *TRAIN, *VALIDATION, folder, progress=Progress(), params=row)


def predict(folder: Path) -> NDArray[np.float32]:
    booster = xgboost.Booster()
    booster.load_model(folder / HEAD)
    raw: NDArray[np.float32] = booster.inplace_predict(VALIDATION[0])
    return raw


def test_the_saved_head_gives_the_metrics_that_were_returned(tmp_path: Path) -> None:
    found = fit(tmp_path)
    raw = predict(tmp_path)
    calibration = Calibration.model_validate_json((tmp_path / CALIBRATION).read_text())
    assert calibration.temperature == found["temperature"] == fit_temperature(raw, VALIDATION[1])
    again = report(VALIDATION[1], calibrate(raw, calibration.temperature), EXPRESSIONS)
    assert again.items() <= found.items()
    assert found["ece_before"] == round(expected_calibration_error(VALIDATION[1], raw), 4)
    assert found["accuracy"] > 0.4
    json.dumps(found)


def test_only_the_rounds_up_to_the_best_one_are_saved(tmp_path: Path) -> None:
    found = fit(tmp_path)
    booster = xgboost.Booster()
    booster.load_model(tmp_path / HEAD)
    assert booster.num_boosted_rounds() == found["rounds"] < SETTINGS.max_rounds


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    fit(tmp_path)
    before = (tmp_path / HEAD).read_bytes()
    fit(tmp_path)
    assert (tmp_path / HEAD).read_bytes() == before


def test_without_a_search_the_settings_are_used(tmp_path: Path) -> None:
    found = fit(tmp_path, SETTINGS.model_copy(update={"depth": 2, "l2": 5.0}))
    assert found["params"] == {
        "resampling": "none",
        "max_depth": 2,
        "learning_rate": SETTINGS.learning_rate,
        "subsample": SETTINGS.row_share,
        "colsample_bytree": 1.0,
        "min_child_weight": SETTINGS.min_child_weight,
        "reg_lambda": 5.0,
    }


def test_what_a_search_found_takes_the_place_of_the_settings(tmp_path: Path) -> None:
    plain = fit(tmp_path)
    settings = predict(tmp_path)
    found = fit(tmp_path, row=ROW)
    assert found["params"].items() >= {"resampling": "weights", **ROW.params}.items()
    assert not np.array_equal(predict(tmp_path), settings)
    assert plain["params"]["max_depth"] == SETTINGS.depth


@pytest.mark.parametrize("resampling", ["weights", "adasyn"])
def test_resampling_changes_the_head(tmp_path: Path, resampling: str) -> None:
    fit(tmp_path)
    plain = predict(tmp_path)
    found = fit(tmp_path, SETTINGS.model_copy(update={"resampling": resampling}))
    assert found["params"]["resampling"] == resampling
    assert predict(tmp_path)[:, 1].sum() > plain[:, 1].sum()  # fear is the small class


def test_broken_validation_features_are_refused(tmp_path: Path) -> None:
    broken = VALIDATION[0].copy()
    broken[7] = np.nan
    with pytest.raises(DataError, match=r"validation: 1 of 210 rows .* first ones 7\."):
        fit_head(SETTINGS, 1, *TRAIN, broken, VALIDATION[1], tmp_path, progress=Progress())
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_files_and_no_half_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name.startswith(CALIBRATION):
            write(path, content[:3])
            raise OSError(28, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(RunError, match="No space left"):
        fit(tmp_path, row=ROW)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_temperature_has_the_lowest_loss() -> None:
    rng = np.random.default_rng(3)
    honest = rng.dirichlet(np.ones(7) * 0.5, 5000)
    labels = (honest.cumsum(1) > rng.random((5000, 1))).argmax(1)
    overconfident = calibrate(honest, 0.5)

    def loss(temperature: float) -> float:
        likely = calibrate(overconfident, temperature)[np.arange(5000), labels]
        return float(-np.log(likely).mean())

    found = fit_temperature(overconfident, labels)
    assert found == pytest.approx(2, rel=0.1)
    assert all(loss(found) <= loss(t) + 1e-7 for t in np.geomspace(0.25, 4, 161))


def test_a_temperature_stays_within_its_range() -> None:
    sure = np.full((20, 7), 1e-6)
    sure[:, 0] = 1
    wrong = np.ones(20, np.int64)
    assert fit_temperature(sure, wrong) == pytest.approx(4, rel=0.01)


def test_taught_trees_learn_what_the_logits_say(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    labels = np.arange(140) % 7
    other = (labels + 1) % 7  # what the teacher says instead of the label
    noise = rng.normal(0, 1, (140, 3))
    features = np.concatenate([noise, 6 * np.eye(7)[other]], axis=1).astype(np.float32)

    def called(share: float) -> NDArray[np.int64]:
        fit_head(
            *(Head(search=False, taught=share, max_rounds=20, row_share=1, feature_share=1), 1),
            *(features, labels, features, other if share else labels, tmp_path),
            progress=Progress(),
        )
        booster = xgboost.Booster(model_file=tmp_path / "head.ubj")
        probabilities = booster.inplace_predict(features)
        assert probabilities.shape == (140, 7)
        assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
        best: NDArray[np.int64] = probabilities.argmax(axis=1)
        return best

    assert np.array_equal(called(0.0), labels)
    assert np.array_equal(called(1.0), other)

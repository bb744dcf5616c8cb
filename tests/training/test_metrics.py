"""Measures of a classifier, against values worked out by hand."""

import numpy as np
import pytest

from training.metrics import expected_calibration_error, report

CLASSES = ("a", "b", "c")


def one_hot(guesses: list[int]) -> np.ndarray:
    return np.eye(3)[guesses]


def test_a_report_by_hand() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1])
    found = report(labels, one_hot([0, 0, 0, 1, 1, 0]), CLASSES)
    assert found["n"] == 6
    assert found["confusion"] == [[3, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert found["accuracy"] == 0.6667
    assert found["recall"] == {"a": 0.75, "b": 0.5, "c": 0.0}
    assert found["balanced_accuracy"] == 0.625  # c has no label and takes no part
    assert found["macro_f1"] == 0.625  # 6/8 and 2/4
    assert found["ece"] == 0.3333  # always sure, right in four of six


def test_the_first_class_wins_a_tie() -> None:
    found = report(np.array([0]), np.array([[0.5, 0.5, 0.0]]), CLASSES)
    assert found["accuracy"] == 1


def test_calibration_error_weighs_bins_by_their_size() -> None:
    labels = np.array([0, 0, 0, 1])
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.6, 0.4]])
    # Three of confidence 0.9, all right: gap 0.1; one of 0.6, wrong: gap 0.6.
    assert expected_calibration_error(labels, probabilities) == pytest.approx(
        (3 * 0.1 + 1 * 0.6) / 4
    )


def test_nothing_to_judge_is_an_error() -> None:
    with pytest.raises(ValueError, match="no labels"):
        report(np.array([], dtype=int), np.empty((0, 3)), CLASSES)

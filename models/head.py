"""Turns features into calibrated class probabilities with the bundle's XGBoost head."""

from __future__ import annotations

from typing import Final

import numpy as np
import xgboost
from numpy.typing import NDArray

from models.bundle import AnyBundle
from models.errors import BundleError
from models.runtime import thread_count

__all__ = ["Head", "calibrate"]

SMALLEST: Final = 1e-12  # keeps the logarithm of a probability of 0 finite


class Head:
    """Gradient-boosted trees on the encoder's features."""

    def __init__(self, bundle: AnyBundle, threads: int = 0) -> None:
        """Load the head and check it against the manifest.

        Raises:
            BundleError: it cannot be read, or features or classes are not the manifest's.
        """
        self.temperature = bundle.calibration.temperature
        self.feature_count = bundle.manifest.feature_count
        self.class_count = len(bundle.manifest.classes)
        self._booster = xgboost.Booster(params={"nthread": thread_count(threads)})
        try:
            self._booster.load_model(bundle.head)
        except xgboost.core.XGBoostError as error:
            raise BundleError(f"{bundle.head} is no XGBoost model: {error}") from error
        self._booster.set_param({"nthread": thread_count(threads)})
        features = self._booster.num_features()
        if features != self.feature_count:
            raise BundleError(
                f"{bundle.head} takes {features} features, the manifest says {self.feature_count}"
            )
        probe = self.predict_raw(np.zeros((1, features), np.float32))
        if probe.shape != (1, self.class_count):
            raise BundleError(
                f"{bundle.head} gives {probe.shape[-1]} classes, "
                f"the manifest names {self.class_count}"
            )

    def predict_raw(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities as the trees give them, before calibration: (n, classes)."""
        probabilities: NDArray[np.float32] = self._booster.inplace_predict(features)
        return probabilities

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return calibrated probabilities.

        Args:
            features: float32, shape (n, feature_count); n may be 0.

        Returns:
            float64, shape (n, classes); each row sums to 1.
        """
        if not len(features):
            return np.empty((0, self.class_count), np.float64)
        return calibrate(self.predict_raw(features), self.temperature)


def calibrate(probabilities: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Return `softmax(log(p) / temperature)` of each row (Guo et al. 2017, temperature scaling)."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST)) / temperature
    logits -= logits.max(axis=1, keepdims=True)
    exponentials = np.exp(logits)
    result: NDArray[np.float64] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return result

"""The temperature that makes confidence agree with accuracy."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from models.head import calibrate

__all__ = ["fit_temperature"]

RANGE: Final = (0.25, 4.0)  # beyond it the fault lies elsewhere than in the temperature
DIGITS: Final = 4


def fit_temperature(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> float:
    """Return the temperature from 1/4 to 4 with the lowest negative log likelihood.

    The loss is convex in 1 / temperature, hence has one minimum, which Brent's bounded method
    finds.

    Args:
        probabilities: [n, classes], uncalibrated.
        labels: [n], of faces that took no part in fitting the head.
    """
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        likely = calibrate(probabilities, float(np.exp(log_temperature)))[rows, labels]
        return float(-np.log(np.maximum(likely, np.finfo(np.float64).tiny)).mean())

    found = minimize_scalar(loss, bounds=np.log(RANGE), method="bounded")
    return round(float(np.exp(found.x)), DIGITS)

"""Heads on the encoder's features: a search that compares them, and the XGBoost head that ships.

`search` fits scalers and resamplers inside the folds alone; `fit_head` writes the files of the
bundle. Both take features as arrays, so that the caller computes them once.
"""

from training.heads.fit import fit_head
from training.heads.leaderboard import Leaderboard, Row, Score
from training.heads.search import search
from training.heads.temperature import fit_temperature

__all__ = ["Leaderboard", "Row", "Score", "fit_head", "fit_temperature", "search"]

"""What a search found: a row for each head and resampling, best first, and the verdict."""

import json
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

__all__ = ["SHIPPED", "Leaderboard", "Row", "Score", "verdict"]

SHIPPED: Final = "xgboost"  # the head that the runtime can load


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Score(_Frozen):
    """A measure over the folds."""

    mean: float
    sd: float


class Unseen(_Frozen):
    """How a head, fitted on all training rows, does on faces that the encoder has not seen."""

    accuracy: float
    balanced_accuracy: float
    macro_f1: float

    @property
    def score(self) -> float:
        """What chooses: the mean of the two measures that weigh all classes alike."""
        return (self.balanced_accuracy + self.macro_f1) / 2


class Row(_Frozen):
    """A head with one kind of resampling, at the best parameters that were tried.

    Attributes:
        unseen: on the validation data; None where there were none.
        params: of the model, under its library's names; what the resampling took too.
        fit_s: seconds of a fit on one fold's training part, all steps of the pipeline.
        predict_us: microseconds of a prediction, for each row of a validation fold.
    """

    head: str
    resampling: str
    params: dict[str, Any]
    balanced_accuracy: Score
    macro_f1: Score
    accuracy: Score
    fit_s: float
    predict_us: float
    unseen: Unseen | None = None

    @property
    def rank(self) -> tuple[float, float]:
        """Balanced accuracy chooses, and macro F1 where that is the same."""
        return self.balanced_accuracy.mean, self.macro_f1.mean


class Leaderboard(_Frozen):
    """The result of a search.

    Attributes:
        folds: how many the rows were cut into.
        rows_used: how many rows took part.
        features: how many each row has.
        components: to how many the slow heads' were reduced; None where not at all.
        seconds: the whole search.
        tried: how many settings of heads were fitted, each on every fold.
        warnings: what ADASYN could not do as asked, once each.
        verdict: which head is best, and whether that is more than chance.
        rows: best first.
    """

    folds: int
    rows_used: int
    features: int
    components: int | None
    seconds: float
    tried: int
    warnings: tuple[str, ...]
    verdict: str
    rows: tuple[Row, ...]

    def best(self, head: str = SHIPPED) -> Row:
        """Return the best row of a head: on unseen faces where it was tried on such.

        Raises:
            KeyError: the head took no part.
        """
        rows = [row for row in self.rows if row.head == head]
        if not rows:
            raise KeyError(head)
        return max(rows, key=lambda row: row.unseen.score if row.unseen else row.rank[0])

    def to_json(self) -> str:
        """Return it as indented JSON, with a line feed at the end."""
        return json.dumps(self.model_dump(mode="json"), indent=2) + "\n"


def verdict(rows: tuple[Row, ...]) -> str:
    """Say in words how the shipped head compares with the best other one.

    Args:
        rows: best first, at least one.
    """
    return " ".join(part for part in (_on_folds(rows), _on_unseen(rows)) if part)


def _on_unseen(rows: tuple[Row, ...]) -> str:
    """Compare on the faces that the encoder has not seen, where all heads were tried on them."""
    tried = [(row, row.unseen) for row in rows if row.unseen]
    ours = [pair for pair in tried if pair[0].head == SHIPPED]
    others = [pair for pair in tried if pair[0].head != SHIPPED]
    if not ours or not others:
        return ""
    texts = [
        f"{row.head} ({row.resampling}) {found.accuracy:.4f} of accuracy and "
        f"{found.balanced_accuracy:.4f} balanced"
        for row, found in (max(group, key=lambda pair: pair[1].score) for group in (ours, others))
    ]
    return f"On the validation data, which the encoder has not seen: {texts[0]}; {texts[1]}."


def _on_folds(rows: tuple[Row, ...]) -> str:
    ours = next((row for row in rows if row.head == SHIPPED), None)
    other = next((row for row in rows if row.head != SHIPPED), None)
    if ours is None or other is None:
        return f"{_named(rows[0])} took part alone."
    gap = other.balanced_accuracy.mean - ours.balanced_accuracy.mean
    # The larger of the two, so that a head with a lucky small spread is not called better by it.
    spread = max(ours.balanced_accuracy.sd, other.balanced_accuracy.sd)
    if gap > spread:
        return (
            f"{_named(other)} is better than {_named(ours)} by {gap:.4f} of balanced accuracy, "
            f"more than one standard deviation over the folds ({spread:.4f}). XGBoost ships all "
            "the same, because it is what the runtime loads."
        )
    if gap > 0:
        return (
            f"{_named(ours)} ships. {_named(other)} is ahead by {gap:.4f} of balanced accuracy, "
            f"within one standard deviation over the folds ({spread:.4f})."
        )
    return (
        f"{_named(ours)} ships, and no other head is ahead of it; the next is {_named(other)}, "
        f"{-gap:.4f} of balanced accuracy behind (one standard deviation is {spread:.4f})."
    )


def _named(row: Row) -> str:
    score = row.balanced_accuracy
    return f"{row.head} ({row.resampling}, {score.mean:.4f} ± {score.sd:.4f})"

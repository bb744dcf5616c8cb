"""What a bundle does besides the test split of its target: other data, photographs, cost."""

from typing import Final

from pydantic import BaseModel

__all__ = ["MEASURES", "Elsewhere"]

MEASURES: Final = ("faces", "accuracy", "balanced accuracy", "macro F1", "calibration error")


class Measured(BaseModel):
    """The measures of one test split that go into a table."""

    n: int
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    ece: float

    @property
    def cells(self) -> tuple[int, float, float, float, float]:
        """The values of `MEASURES`."""
        return self.n, self.accuracy, self.balanced_accuracy, self.macro_f1, self.ece


class OtherData(Measured):
    """A test split, once more without faces that also stand in its own training split."""

    without_training_duplicates: Measured | None = None


class Found(BaseModel):
    """How many of so many faces were found; nothing where there were none."""

    n: int
    recall: float | None


class Detection(BaseModel):
    """Labelled faces that were found in whole photographs."""

    n_faces: int
    n_photos: int
    recall: float | None
    least_iou: float
    recall_by_width: dict[str, Found]  # pixels of the face in the photograph


class Share(BaseModel):
    """Right ones among all."""

    accuracy: float


class Agreement(BaseModel):
    """How often noisy labels and the bundle agree, by the way in which the face was cut out."""

    n: int
    aligned: Share | None = None
    box: Share | None = None


class Half(BaseModel):
    """The half of the photographs that chose nothing."""

    noisy_label_agreement: Agreement


class Photographs(BaseModel):
    """What `training.frames` found in whole photographs."""

    detection: Detection
    report: Half

    def paragraphs(self) -> list[str]:
        """Return what is to be said about them."""
        every, agreement = self.detection, self.report.noisy_label_agreement
        widths = "; ".join(
            f"{width} px {found.recall:.3f} of {found.n}"
            for width, found in every.recall_by_width.items()
            if found.recall is not None
        )
        if every.recall is None:
            return [f"There are no labelled faces in {every.n_photos} photographs."]
        said = [
            f"Of {every.n_faces} labelled faces in {every.n_photos} photographs, "
            f"{every.recall:.3f} are found (overlap of at least {every.least_iou}). By width of "
            f"the face: {widths}."
        ]
        if agreement.aligned and agreement.box:
            said.append(
                f"Their labels are too noisy for a score. They agree with {agreement.n} faces of "
                f"one half in {agreement.aligned.accuracy:.3f} of the cases when these are aligned "
                f"by landmarks, and in {agreement.box.accuracy:.3f} when the plain box is cut out."
            )
        return said


class Cost(BaseModel):
    """Processor time of a face, as a share of EfficientNet-B0's."""

    ratio: float
    ratio_of_medians_8: float

    def sentence(self) -> str:
        """Return what is to be said about it."""
        return (
            f"One face through encoder and head takes {self.ratio:.2f} of the time of "
            "EfficientNet-B0 at 224x224 on one thread, both in ONNX Runtime and measured in turns "
            f"({self.ratio_of_medians_8:.2f} for eight together)."
        )


class Elsewhere(BaseModel):
    """All of it; what a run was not asked for is not there."""

    also: dict[str, OtherData] = {}  # by name of the source
    photographs: Photographs | None = None
    cost: Cost | None = None

    def rows(self) -> list[tuple[str, int, float, float, float, float]]:
        """Return a title and `MEASURES` for each other test split."""
        rows = []
        for name, found in self.also.items():
            rows.append((f"{name}, test split", *found.cells))
            if rest := found.without_training_duplicates:
                rows.append((f"{name}, without duplicates of its training split", *rest.cells))
        return rows

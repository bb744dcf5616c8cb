"""Corrections by people: the record on the topic of feedback, which is also the training format.

It holds the features that the head saw, so that a head can be fitted again without keeping anyone's
picture. The picture of a face is in it only where its owner agreed, and the settings allow it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from dataflows.dead_letters import Outgoing

__all__ = ["Approval", "Correction", "approvals", "correction_record", "count_field"]

AGREED, DISAGREED = "agreed", "disagreed"


class Correction(BaseModel):
    """One correction.

    Attributes:
        schema_version: 1.
        id: of the event.
        face: index of the face in the event's prediction, from 0; None is the text.
        time: when the correction was made.
        bundle: kind and version of the bundle that predicted, such as `face/1.2.0`.
        predicted: the class that it gave.
        label: the class that a person says is right.
        features: of the face or the text, as that bundle's encoder gave them.
        note: free text.
        picture: the aligned face as a JPEG in base64, with consent only.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    id: str = Field(min_length=1)
    face: int | None = Field(ge=0)
    time: AwareDatetime
    bundle: str = Field(pattern=r"^(face|text)/.+$")
    predicted: str
    label: str
    features: tuple[float, ...] = Field(min_length=1)
    note: str = ""
    picture: str | None = None

    @property
    def kind(self) -> str:
        """Of the bundle: `face` or `text`."""
        return self.bundle.partition("/")[0]


def correction_record(correction: Correction) -> Outgoing:
    """Return the record of a correction; the key is the event's id."""
    headers = (
        ("ce_specversion", b"1.0"),
        ("ce_id", f"{correction.id}#{_part(correction)}".encode()),
        ("ce_type", b"sentistream.feedback"),
        ("ce_time", correction.time.isoformat().encode()),
        ("content-type", b"application/json"),
    )
    return Outgoing(correction.id.encode(), correction.model_dump_json().encode(), headers)


def _part(correction: Correction) -> str:
    return "text" if correction.face is None else str(correction.face)


class Approval(NamedTuple):
    """What people say of the predictions of one bundle.

    Attributes:
        bundle: kind and version.
        agreed: predictions of which a person said that they are right.
        disagreed: those for which a person gave another class.
    """

    bundle: str
    agreed: int = 0
    disagreed: int = 0

    @property
    def share(self) -> float:
        """Share of the predictions that were right; there is at least one."""
        return self.agreed / (self.agreed + self.disagreed)


def count_field(correction: Correction) -> str:
    """Return the field of the hash of counts that a correction adds 1 to."""
    agrees = correction.label == correction.predicted
    return f"{correction.bundle}:{AGREED if agrees else DISAGREED}"


def approvals(fields: Mapping[str, str]) -> list[Approval]:
    """Return by bundle what the hash of counts says; what is none of ours is left out."""
    found: dict[str, Approval] = {}
    for name, value in sorted(fields.items()):
        bundle, _, which = name.rpartition(":")
        count = int(value) if value.isascii() and value.isdigit() and len(value) < 16 else 0
        if not bundle or not count or which not in (AGREED, DISAGREED):
            continue
        one = found.get(bundle, Approval(bundle))
        agrees = which == AGREED
        found[bundle] = one._replace(agreed=count) if agrees else one._replace(disagreed=count)
    return list(found.values())

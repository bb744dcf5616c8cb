"""Options of the models that a user may set; they appear in the settings under these names."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["DetectorOptions", "Limits"]


class DetectorOptions(BaseModel):
    """How faces are looked for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scale: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Pictures are shrunk by this factor for detection alone; 1 finds smaller faces "
        "at four times the cost.",
    )
    max_side: int = Field(
        default=640,
        ge=64,
        le=4096,
        description="Longest side in pixels given to the detector, after `scale`; bounds the cost "
        "of one large picture.",
    )
    score: float = Field(
        default=0.4, gt=0, lt=1, description="Detections under this score are left out."
    )
    min_face: int = Field(
        default=16,
        ge=1,
        description="Faces whose shorter side is under this many pixels of the original picture "
        "are left out.",
    )
    max_faces: int = Field(
        default=64, ge=1, le=1000, description="The most faces of one picture, best score first."
    )


class Limits(BaseModel):
    """What one event may cost before it is rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_bytes: int = Field(
        default=10 * 1024 * 1024, ge=1, description="Largest value of one event, in bytes."
    )
    max_pixels: int = Field(
        default=50_000_000,
        ge=1,
        description="Most pixels of one picture by its header; checked before pixels are decoded.",
    )

"""Options of the models that a user may set; they appear in the settings under these names."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["DetectorOptions", "Limits", "ShadowOptions", "TextCleaning", "TextOptions"]


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
        description="Most pixels of one picture by its header, and of those that are decoded at "
        "the same time; checked before pixels are decoded. WebP counts twice, and a JPEG once for "
        "every ten scans.",
    )
    max_image_side: int = Field(
        default=30_000, ge=1, description="Most pixels of the width or height of one picture."
    )
    max_header_bytes: int = Field(
        default=1024,
        ge=64,
        le=65_536,
        description="Longest header of the contract of one event, in bytes: its id and its source "
        "are part of what is written of it.",
    )


class TextCleaning(BaseModel):
    """How a text is cleaned before it is tokenised; a text bundle says what it was made with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_characters: int = Field(
        default=1000, ge=16, le=100_000, description="Longer texts are cut, with a mark."
    )
    emoji: Literal["named", "kept"] = Field(
        default="named", description="Whether an emoji becomes its English name."
    )


class TextOptions(BaseModel):
    """Which model scores texts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bundle: str = Field(
        default="",
        pattern=r"^[0-9A-Za-z._-]*$",
        description="Version of the text bundle, such as the light one for very high rates; empty "
        "takes the one that `ACTIVE` names, and `none` scores no texts.",
    )


class ShadowOptions(BaseModel):
    """Which models are tried beside those in use."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    face: str = Field(
        default="",
        pattern=r"^[0-9A-Za-z._-]*$",
        description="Version of a face bundle that scores a share of the pictures as well, to be "
        "compared; it changes no result. Empty is none.",
    )
    text: str = Field(
        default="", pattern=r"^[0-9A-Za-z._-]*$", description="The same of a text bundle."
    )
    share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Share of the events that are compared, chosen by their ids.",
    )

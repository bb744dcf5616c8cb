"""When the predictions of an hour are called drifted, as a setting."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["DriftOptions"]


class DriftOptions(BaseModel):
    """When the predictions of an hour are called drifted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(
        default=True, description="Whether predictions are held against their bundle's reference."
    )
    min_observations: int = Field(
        default=200,
        ge=1,
        description="Faces or texts of one hour below which nothing is said of it.",
    )
    mix: float = Field(
        default=0.25,
        ge=0,
        description="Population stability index of the classes above which an hour has drifted.",
    )
    confidence: float = Field(default=0.25, ge=0, description="The same of confidence.")
    embedding: float = Field(
        default=1.0,
        ge=0,
        description="Squared distance of the projected embedding, in standard deviations of the "
        "reference, above which an hour has drifted.",
    )

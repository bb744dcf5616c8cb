"""What is worth an alert, as a setting."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["FORGET_S", "AlertOptions"]

FORGET_S: Final = 3600  # a source that was silent for so long begins anew


class AlertOptions(BaseModel):
    """What is worth an alert."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(default=True, description="Whether there are alerts.")
    window_s: int = Field(
        default=30, ge=1, le=600, description="Seconds of event time that are judged together."
    )
    hold_s: int = Field(
        default=10,
        ge=1,
        le=600,
        description="Seconds that something has to last before it is told, and to be over before "
        "that is told.",
    )
    settle_s: int = Field(
        default=5,
        ge=0,
        le=900,
        description="Seconds that a source has to be ahead before a second is judged; what comes "
        "later is not judged.",
    )
    baseline_s: int = Field(
        default=300, ge=1, le=86_400, description="Time constant of the moving average."
    )
    min_observations: int = Field(
        default=20, ge=2, le=100_000, description="A window with fewer is not judged."
    )
    sigmas: float = Field(
        default=4.0,
        gt=0,
        le=100,
        description="Standard errors that mean valence has to be off its moving average.",
    )
    min_shift: float = Field(
        default=0.15,
        ge=0,
        le=2,
        description="The same in units of valence; both have to be passed.",
    )
    negative_share: float = Field(
        default=0.6,
        ge=0,
        le=1,
        description="Share of negative observations that is too high; 1 is off.",
    )
    confidence_drop: float = Field(
        default=0.15,
        ge=0,
        le=1,
        description="How far mean confidence has to be under its moving average; 1 is off.",
    )
    silent_s: int = Field(
        default=60,
        ge=0,
        le=FORGET_S,
        description="Seconds that a source has to be behind others, or its own next event, to be "
        "called silent; 0 is off.",
    )
